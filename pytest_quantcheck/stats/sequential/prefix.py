"""The examples measured so far."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pytest_quantcheck.stats.sequential.contrast import Contrast

if TYPE_CHECKING:
    from pytest_quantcheck.stats.scores import ExampleScores


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is known of a budget's examples before the first score."""

    n: int
    """Examples in all; of the budget's slice where it has one."""
    n_clusters: int | None
    """None where no two examples share one."""
    largest_cluster: int
    """Examples of the largest cluster; 1 where there are none."""

    @property
    def n_drawn(self) -> int:
        """How many independent observations there will be: clusters, or examples."""
        return self.n if self.n_clusters is None else self.n_clusters


class Prefix:
    """Batches of one budget's scores, in the order of measurement."""

    def __init__(self) -> None:
        """Start without any."""
        self.n = 0
        self._references: list[ExampleScores] = []
        self._variants: list[ExampleScores] = []
        self._contrasts: list[Contrast] = []

    def add(self, reference: ExampleScores, variant: ExampleScores, contrast: Contrast) -> None:
        """Take one more batch."""
        self.n += len(reference.ids)
        self._references.append(reference)
        self._variants.append(variant)
        self._contrasts.append(contrast)

    @property
    def n_drawn(self) -> int:
        """Clusters so far; examples where they stand alone."""
        return sum(contrast.sizes.size for contrast in self._contrasts)

    def scores(self, n: int | None = None) -> tuple[ExampleScores, ExampleScores]:
        """Return reference and variant on the first batches, up to `n` examples."""
        count, total = 0, 0
        for batch in self._references:
            if n is not None and total >= n:
                break
            total += len(batch.ids)
            count += 1
        return _join(self._references[:count]), _join(self._variants[:count])

    def contrast(self) -> Contrast:
        """Return all clusters so far, as bets see them."""
        parts = self._contrasts
        return Contrast(
            gaps=np.concatenate([part.gaps for part in parts]),
            units=np.concatenate([part.units for part in parts]),
            sizes=np.concatenate([part.sizes for part in parts]),
            is_binary=all(part.is_binary for part in parts),
        )


def _join(batches: list[ExampleScores]) -> ExampleScores:
    first = batches[0]
    labels = [batch.clusters for batch in batches if batch.clusters is not None]
    return replace(
        first,
        ids=tuple(name for batch in batches for name in batch.ids),
        values=np.concatenate([batch.values for batch in batches]),
        weights=np.concatenate([batch.weights for batch in batches]),
        clusters=np.concatenate(labels) if first.clusters is not None else None,
    )

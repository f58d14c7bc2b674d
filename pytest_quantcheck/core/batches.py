"""In which order and in what batches examples are measured where measuring may stop early."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_PARTS = 10
_AUTO_FROM = 2000


class Sequential(Enum):
    """Whether measuring stops as soon as every budget is decided."""

    AUTO = "auto"
    """Where a workload has at least 2,000 examples."""
    ON = "on"
    OFF = "off"

    @property
    def smallest(self) -> int | None:
        """Fewest examples of a workload that may be measured in part; None: none may."""
        return {Sequential.AUTO: _AUTO_FROM, Sequential.ON: 1, Sequential.OFF: None}[self]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Examples that are forwarded together, by their places in the workload."""

    batches: tuple[tuple[int, ...], ...]
    """After each of them verdicts may fall."""

    @property
    def places(self) -> tuple[int, ...]:
        """All of them, ascending."""
        return tuple(sorted(place for batch in self.batches for place in batch))


def whole(n: int) -> tuple[Part, ...]:
    """Return n examples as they stand, in one part of one batch."""
    return (Part(batches=(tuple(range(n)),)),)


def shuffled(keys: Sequence[str], *, seed: int) -> list[tuple[int, ...]]:
    """Return the places of examples, cluster by cluster, in a seeded order of the clusters.

    Parameters
    ----------
    keys : sequence of str
        One for each example; those of one cluster share theirs.
    seed : int
        Of the order, which does not depend on where examples stand.

    Examples
    --------
    >>> shuffled(["a", "b", "a", "c"], seed=0)
    [(1,), (3,), (0, 2)]
    """
    clusters: dict[str, list[int]] = {}
    for place, key in enumerate(keys):
        clusters.setdefault(key, []).append(place)
    return [tuple(clusters[key]) for key in sorted(clusters, key=lambda key: _draw(seed, key))]


def parts_of(clusters: Iterable[Sequence[int]], ends: Sequence[int]) -> tuple[Part, ...]:
    """Return examples in parts of several batches.

    Parameters
    ----------
    clusters : iterable of sequence of int
        Places of the examples in the order of measurement.
    ends : sequence of int
        After how many examples each batch ends, ascending; the last is all of them.

    Notes
    -----
    A part is what an engine may sort by prefix and length. The first is the first batch; each of
    the others ends with the batch that reaches the next tenth of all examples.
    """
    order = [place for cluster in clusters for place in cluster]
    parts: list[Part] = []
    found: list[tuple[int, ...]] = []
    start = tenths = 0
    for end in ends:
        found.append(tuple(order[start:end]))
        start = end
        if not parts or _PARTS * end // len(order) > tenths:
            parts.append(Part(batches=tuple(found)))
            found, tenths = [], _PARTS * end // len(order)
    return tuple(parts)


def _draw(seed: int, key: str) -> str:
    return hashlib.sha256(f"order\0{seed}\0{key}".encode()).hexdigest()

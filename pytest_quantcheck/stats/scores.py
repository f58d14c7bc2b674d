"""Per-example scores of one variant, and their level."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pytest_quantcheck.core.metric import METRICS, Scale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExampleScores:
    """What one variant scored on each example of a workload, for one metric."""

    metric: str
    """Name of the metric."""
    ids: tuple[str, ...]
    """(n,) unique."""
    values: NDArray[np.float64]
    """(n,) 0 or 1; a score; or the summed negative log-likelihood in nats."""
    weights: NDArray[np.float64]
    """(n,) tokens (words, bytes) behind each value; 1 where an example is one observation."""
    clusters: NDArray[np.int64] | None = None
    """(n,) label of the cluster each example belongs to; None if each stands alone."""
    bounds: tuple[float, float] | None = None
    """Lowest and highest possible value; None if unbounded."""
    observations: tuple[NDArray[np.float64], ...] | None = None
    """(n,) what each value stands for, one number a token; None where the values say all."""
    is_identical: bool = False
    """Whether everything behind these values equals the reference's bit for bit."""

    def taken(self, rows: Sequence[int]) -> ExampleScores:
        """Return some of the rows, in the order asked for."""
        kept = np.array(rows, np.int64)
        found = self.observations
        return replace(
            self,
            ids=tuple(self.ids[row] for row in rows),
            values=self.values[kept],
            weights=self.weights[kept],
            clusters=None if self.clusters is None else self.clusters[kept],
            observations=None if found is None else tuple(found[row] for row in rows),
        )


def metric_level(scores: ExampleScores) -> float:
    """Return the metric of all examples together: a mean, or a perplexity.

    Parameters
    ----------
    scores : ExampleScores
        At least one example.

    Returns
    -------
    float
        The mean of the values per weight; for perplexity exp(total nats / total weight); for a
        quantile that of all observations.
    """
    if scores.observations is not None:
        return pooled_quantile(scores.metric, scores.observations)
    mean = math.fsum(scores.values) / math.fsum(scores.weights)
    if METRICS[scores.metric].scale is Scale.NLL:
        with np.errstate(over="ignore"):  # of texts without whitespace, a word may be long
            return float(np.exp(mean))
    return mean


def pooled_quantile(metric: str, observations: Sequence[NDArray[np.float64]]) -> float:
    """Return the quantile of `metric` over all observations: one of them, no mixture of two."""
    quantile = METRICS[metric].quantile
    assert quantile is not None  # noqa: S101 - asked of metrics that have one
    return float(np.quantile(np.concatenate(observations), quantile, method="inverted_cdf"))

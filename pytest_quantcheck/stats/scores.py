"""Per-example scores of one variant, and their level."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_quantcheck.core.metric import METRICS, Scale

if TYPE_CHECKING:
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
    """(n,) tokens behind each value; 1 where an example is one observation."""
    clusters: NDArray[np.int64] | None = None
    """(n,) label of the cluster each example belongs to; None if each stands alone."""
    bounds: tuple[float, float] | None = None
    """Lowest and highest possible value; None if unbounded."""


def metric_level(scores: ExampleScores) -> float:
    """Return the metric of all examples together: a mean, or a perplexity.

    Parameters
    ----------
    scores : ExampleScores
        At least one example.

    Returns
    -------
    float
        The mean of the values; for perplexity exp(total nats / total tokens).
    """
    mean = math.fsum(scores.values) / math.fsum(scores.weights)
    if METRICS[scores.metric].scale is Scale.NLL:
        return float(np.exp(mean))
    return mean

"""Per example, what speaks for and against a limit: the numbers that bets are laid on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_quantcheck.core.limit import Bound, Limit, Statistic
from pytest_quantcheck.core.metric import METRICS, Scale
from pytest_quantcheck.stats.paired import align, check_reference, check_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_quantcheck.core.metric import Metric
    from pytest_quantcheck.stats.paired import CheckedScores, PairedScores
    from pytest_quantcheck.stats.scores import ExampleScores


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Bounds of `gap - θ·unit`, linear in θ."""

    low: float
    low_unit: float
    high: float
    high_unit: float

    def lowest(self, theta: float) -> float:
        """Return the smallest possible value."""
        return self.low - theta * self.low_unit

    def highest(self, theta: float) -> float:
        """Return the largest possible value."""
        return self.high - theta * self.high_unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Scales:
    """From a limit to θ, larger being worse, and how far one example reaches."""

    sign: float
    """θ is `sign` times (limit - origin)."""
    origin: float
    reach: Reach
    """What bets allow for: symmetric at θ = 0, so that no bet is larger than 1."""
    least: Reach
    """What is possible."""

    def theta(self, limit: float) -> float:
        """Return the limit where larger is worse."""
        return self.sign * (limit - self.origin)

    def restate(self, theta: float) -> float:
        """Return θ in the unit of the limit."""
        return self.origin + self.sign * theta


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contrast:
    """The examples of one batch: the limit is kept where the mean of `gap - θ·unit` is at most 0.

    Whole clusters, added up; an example that stands alone is a cluster.
    """

    gaps: NDArray[np.float64]
    """(g,) in an order that no score has a part in."""
    units: NDArray[np.float64]
    """(g,) 1 for each example, for a recovery the reference's score, for losses the tokens."""
    sizes: NDArray[np.int64]
    """(g,) examples."""
    is_binary: bool
    """Whether every score is 0 or 1."""

    def excesses(self, theta: float) -> NDArray[np.float64]:
        """Return (g,) how far each cluster exceeds the limit θ, added up over its examples."""
        return self.gaps - theta * self.units


def scales_of(limit: Limit, metric: Metric, bounds: tuple[float, float] | None) -> Scales | None:
    """Return how a limit is bet on; None where scores are unbounded."""
    span = _span(limit, metric, bounds)
    if span is None:
        return None
    low, high = span
    width = high - low
    if limit.statistic is Statistic.RECOVERY:
        kept = Reach(low=low - high, low_unit=low, high=high - low, high_unit=high)
        return Scales(sign=-1.0, origin=1.0, reach=kept, least=kept)
    both = Reach(low=-width, low_unit=1.0, high=width, high_unit=1.0)
    if limit.statistic.is_level:
        is_upper = limit.bound is Bound.UPPER
        shortfall = Reach(low=0.0, low_unit=1.0, high=width, high_unit=1.0)
        return Scales(
            sign=1.0 if is_upper else -1.0,
            origin=low if is_upper else high,
            reach=both,
            least=shortfall,
        )
    least = Reach(low=0.0, low_unit=1.0, high=1.0, high_unit=1.0)
    is_share = limit.statistic.is_flips
    return Scales(sign=1.0, origin=0.0, reach=both, least=least if is_share else both)


def _span(
    limit: Limit, metric: Metric, bounds: tuple[float, float] | None
) -> tuple[float, float] | None:
    if metric.scale is Scale.BINARY or limit.statistic.is_flips:
        return 0.0, 1.0
    return None if metric.scale is Scale.NLL else bounds


def make_contrast(limit: Limit, reference: ExampleScores, variant: ExampleScores) -> Contrast:
    """Return what one batch of whole clusters says about a limit.

    Raises
    ------
    UnpairedScoresError, MeasurementError
        See `paired.align`.
    """
    if limit.statistic.is_level:
        is_variant = limit.statistic is Statistic.VARIANT_LEVEL
        scores = check_scores(variant, role="variant") if is_variant else check_reference(reference)
        return _gather(scores, _shortfalls(limit, scores), np.ones(scores.n))
    pairs = align(reference, variant)
    if limit.statistic.is_flips:
        flips = pairs.flips(limit.statistic).astype(np.float64)
        return _gather(pairs, flips, np.ones(pairs.n))
    kept = limit.statistic is Statistic.RECOVERY
    pairs = pairs if kept else pairs.as_higher_is_better()
    units = pairs.reference if kept else pairs.weights
    return _gather(pairs, pairs.reference - pairs.variant, units)


def _shortfalls(limit: Limit, scores: CheckedScores) -> NDArray[np.float64]:
    """Return (n,) how far each score falls short of the best one possible."""
    scales = scales_of(limit, scores.metric, scores.bounds)
    if scales is None:
        return np.zeros(scores.n)
    return scales.sign * (scores.values - scales.origin)


def _gather(
    scores: PairedScores | CheckedScores, gaps: NDArray[np.float64], units: NDArray[np.float64]
) -> Contrast:
    """Add up clusters and put them in the order of a digest of their first ids."""
    clusters = scores.clusters
    if clusters is None:
        clusters = np.arange(len(scores.ids))
    _, firsts = np.unique(clusters, return_index=True)
    digests = [hashlib.blake2b(scores.ids[i].encode(), digest_size=8).digest() for i in firsts]
    order = np.array(sorted(range(len(digests)), key=digests.__getitem__))
    return Contrast(
        gaps=np.bincount(clusters, weights=gaps)[order],
        units=np.bincount(clusters, weights=units)[order],
        sizes=np.bincount(clusters)[order],
        is_binary=scores.is_binary,
    )


def metric_of(scores: ExampleScores) -> Metric:
    """Return the metric of some scores."""
    return METRICS[scores.metric]

"""The chance that a budget turns red where its limit is grossly exceeded."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from pytest_quantcheck.core.limit import Bound
from pytest_quantcheck.core.quantity import Unit
from pytest_quantcheck.stats.betting import FRACTIONS
from pytest_quantcheck.stats.binary import LARGEST_EXACT_N, nearest_p_fail
from pytest_quantcheck.stats.decide import MIN_EXAMPLES, MIN_LOSSES
from pytest_quantcheck.stats.inversion import normal_quantile, student_quantile
from pytest_quantcheck.stats.tango import PairedCounts, observed_z, score_z

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_quantcheck.core.limit import Limit
    from pytest_quantcheck.stats.ratio_mean import RatioMean

_TIMES = 3.0
_AT_LEAST = 0.1
_LARGEST_NONCENTRALITY = 30.0
_SPREADS = 6.0
_MOST_ENUMERATED = 1000
_NEGLIGIBLE = 1e-5


def alternative(limit: Limit, bounds: tuple[float, float] | None) -> float | None:
    """Return a gross excess of the limit, in its unit; None where there is no scale for one.

    Parameters
    ----------
    limit : Limit
        With B its value.
    bounds : pair of float, or None
        Of the scores.

    Notes
    -----
    Drops, rises, flips and ceilings of shares: max(3·B, B + 10 pp), at most 1. Ratios, and what
    is lost of a recovery: the same of B - 1 and 1 - B, at most all. Floors: 10 pp below. A
    perplexity, or a time: 10 % above. A divergence: 3·B. Scores: as shares, 10 pp being a tenth of
    the range between their bounds; without bounds 3·B for a change and a tenth of B past a level.
    """
    value, sign = limit.value, 1.0 if limit.bound is Bound.UPPER else -1.0
    match limit.unit:
        case Unit.RATIO:
            return max(0.0, 1 + sign * _gross(sign * (value - 1), _AT_LEAST))
        case Unit.PERPLEXITY | Unit.MILLISECONDS:
            return value * (1 + _AT_LEAST)
        case Unit.NATS:
            return _TIMES * value
        case Unit.SCORE:
            tenth = _AT_LEAST * (bounds[1] - bounds[0]) if bounds else None
            if limit.statistic.is_level:
                return value + sign * (_AT_LEAST * abs(value) if tenth is None else tenth)
            gross = _gross(value, 0.0 if tenth is None else tenth)
            return gross if gross > value else None
    return min(1.0, _gross(value, _AT_LEAST)) if sign > 0 else max(0.0, value - _AT_LEAST)


def _gross(excess: float, at_least: float) -> float:
    return max(_TIMES * excess, excess + at_least)


def chance_for_pairs(counts: PairedCounts, *, limit: float, true: float, alpha: float) -> float:
    """Return the chance of FAIL for right or wrong answers, by enumeration of all results.

    Parameters
    ----------
    counts : PairedCounts
        What was observed: its share of gains is taken for true, and there are as many examples.
    limit, true : float
        Drops as `counts` reads them.
    alpha : float
        Level of FAIL.

    Notes
    -----
    The fewest losses that fail are found with the exact test at the gains expected; other numbers
    of gains fail from the same score on.
    """
    gain = counts.gains / counts.n
    loss = min(max(true + float(counts.gain_weight(true)) * gain, 0.0), 1 - gain)
    found = _likely_gains(counts.n, gain)
    bar = _critical_z(counts, limit=limit, alpha=alpha)
    return found.chance(_fewest_losses(counts, found.gains, limit=limit, bar=bar), losses=loss)


def chance_at_shares(
    counts: PairedCounts, *, losses: float, gains: float, limit: float, alpha: float
) -> float:
    """Return the chance of FAIL where the shares of losses and gains are known.

    Parameters
    ----------
    counts : PairedCounts
        As many examples, with about as many gains; its losses do not matter.
    losses, gains : float
        True shares, in [0, 1] together.
    limit, alpha : float
        As for `chance_for_pairs`.

    Notes
    -----
    Up to 1,000 examples the fewest losses that fail are found for each number of gains.
    """
    found = _likely_gains(counts.n, gains)
    if counts.n > _MOST_ENUMERATED:
        bar = _critical_z(counts, limit=limit, alpha=alpha)
        fewest = _fewest_losses(counts, found.gains, limit=limit, bar=bar)
        return found.chance(fewest, losses=losses)
    is_likely = found.weights > _NEGLIGIBLE
    found = replace(found, gains=found.gains[is_likely], weights=found.weights[is_likely])
    each = [
        _fewest_failing(replace(counts, losses=0, gains=int(g)), limit, alpha) for g in found.gains
    ]
    return found.chance(np.maximum(each, _fewest_allowed(counts.n)), losses=losses)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Gains:
    """How many of n examples may be gained, and how likely each number is."""

    n: int
    share: float
    """Expected, of all examples."""
    gains: NDArray[np.int64]
    """(k,)"""
    weights: NDArray[np.float64]
    """(k,) probabilities."""

    def chance(self, fewest: NDArray[np.int64], *, losses: float) -> float:
        """Return the chance of `fewest` (k,) losses, where `losses` is their expected share."""
        share = min(1.0, losses / (1 - self.share)) if self.share < 1 else 0.0
        return float(np.sum(self.weights * _at_least(fewest, self.n - self.gains, share)))


def _likely_gains(n: int, share: float) -> _Gains:
    """Return the numbers of gains within six standard errors of the expected one."""
    spread = _SPREADS * math.sqrt(n * share * (1 - share))
    gains = np.arange(max(0, math.floor(n * share - spread)), math.ceil(n * share + spread) + 1)
    gains = gains[gains <= n]
    return _Gains(n=n, share=share, gains=gains, weights=_binomial(gains, n, share))


def _critical_z(counts: PairedCounts, *, limit: float, alpha: float) -> float:
    """Return the score from which on the test fails, at the gains that were observed."""
    if counts.n > LARGEST_EXACT_N:
        return normal_quantile(alpha)
    losses = _fewest_failing(replace(counts, losses=0), limit, alpha)
    if losses > counts.n - counts.gains:
        return math.inf
    return float(observed_z(replace(counts, losses=losses), limit))


@lru_cache(maxsize=4096)
def _fewest_failing(counts: PairedCounts, limit: float, alpha: float) -> int:
    """Return the fewest losses that fail with the gains of `counts`; more than fit if none do."""

    def fails(losses: int) -> bool:
        return nearest_p_fail(replace(counts, losses=losses), limit=limit, alpha=alpha) <= alpha

    most, bar = counts.n - counts.gains, normal_quantile(alpha)
    losses = int(_fewest_losses(counts, np.array([counts.gains]), limit=limit, bar=bar)[0])
    losses = min(losses, most)
    while losses > 0 and fails(losses - 1):
        losses -= 1
    while losses <= most and not fails(losses):
        losses += 1
    return losses


def _fewest_losses(
    counts: PairedCounts, gains: NDArray[np.int64], *, limit: float, bar: float
) -> NDArray[np.int64]:
    """Return, for each number of gains, the fewest losses with a score of `bar`, or n + 1."""
    n, weight = counts.n, counts.gain_weight(limit)
    below, above = np.full(gains.shape, -1), n - gains + 1
    for _ in range(math.ceil(math.log2(n + 2)) + 1):
        middle = (below + above) // 2
        z = score_z(np.maximum(middle, 0), gains, n=n, limit=limit, gain_weight=weight)
        reaches = (z >= bar - 1e-9) & (middle >= 0)
        is_open = above - below > 1
        above = np.where(is_open & reaches, middle, above)
        below = np.where(is_open & ~reaches, middle, below)
    return np.maximum(above, _fewest_allowed(n))


def chance_for_share(n: int, *, limit: float, true: float, alpha: float, bound: Bound) -> float:
    """Return the chance of FAIL for one share of n examples, exactly."""
    if bound is Bound.LOWER:
        limit, true = 1 - limit, 1 - true
    hits = np.arange(n + 2)
    failing = hits[_at_least(hits, np.array(n), limit) <= alpha]
    fewest = max(int(failing[0]), _fewest_allowed(n)) if failing.size else n + 1
    return float(_at_least(np.array([fewest]), np.array(n), true)[0])


def chance_for_mean(mean: RatioMean, *, limit: float, true: float, alpha: float) -> float | None:
    """Return the chance of FAIL for a t-test with the error observed; None for one cluster."""
    if mean.df <= 0:
        return None
    bar = student_quantile(alpha, df=mean.df)
    if mean.error == 0:
        return float(true > limit)
    shift = (true - limit) / mean.error
    if abs(shift) > _LARGEST_NONCENTRALITY:
        return float(special.ndtr(shift - bar))
    return 1 - float(special.nctdtr(mean.df, shift, bar))


def chance_for_bets(n: int, *, limit: float, reach: float, true: float, alpha: float) -> float:
    """Return the chance of FAIL for bounded values that are 0 but for whole losses."""
    share = limit / reach
    losses = np.arange(n + 1)
    stakes = FRACTIONS[:, None] / (1 + share)
    capitals = losses * np.log1p(stakes * (1 - share)) + (n - losses) * np.log1p(-stakes * share)
    enough = special.logsumexp(capitals, axis=0) - math.log(FRACTIONS.size) >= -math.log(alpha)
    if not np.any(enough):
        return 0.0
    fewest = max(int(np.argmax(enough)), _fewest_allowed(n))
    return float(_at_least(np.array([fewest]), np.array(n), min(1.0, true / reach))[0])


def _fewest_allowed(n: int) -> int:
    return MIN_LOSSES if n < MIN_EXAMPLES else 0


def _at_least(hits: NDArray[np.int64], n: NDArray[np.int64], share: float) -> NDArray[np.float64]:
    """Return P(Bin(n, share) ≥ hits)."""
    above = special.bdtrc(np.maximum(hits - 1, 0).astype(float), np.maximum(n, 1), share)
    return np.where(hits <= 0, 1.0, np.where(hits > n, 0.0, above))


def _binomial(hits: NDArray[np.int64], n: int, share: float) -> NDArray[np.float64]:
    """Return P(Bin(n, share) = hits)."""
    log_ways = special.gammaln(n + 1.0) - special.gammaln(hits + 1.0)
    log_ways -= special.gammaln(n - hits + 1.0)
    return np.exp(log_ways + special.xlogy(hits, share) + special.xlog1py(n - hits, -share))


def mixed_chance(n: int, share: float, *, at_least: int) -> float:
    """Return the chance of `at_least` hits and as many misses among n."""
    most = n - at_least
    if most < at_least:
        return 0.0
    return float(special.bdtr(most, n, share) - special.bdtr(at_least - 1, n, share))

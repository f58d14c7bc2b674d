"""Exact unconditional p-values of paired proportions: the supremum over the rate of flips."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from pytest_quantcheck.stats.tango import PairedCounts, observed_z, score_z

if TYPE_CHECKING:
    from numpy.typing import NDArray

_RATES = 64
_SMALLEST_RATE_STEP = 1e-4
_TIE = 1e-9
_LOG_OF_ZERO = -1e300
"""Finite, so that 0 of it is 0."""
_CUT = 1e-4
"""Probability left out at either end of the sums, as a part of gamma; it is added back to p."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Regions:
    """Which results show at least as little drop as the one observed, for several limits.

    A result is (discordant, losses). For one limit the region holds every result with at most
    `most_losses[discordant]` losses.
    """

    counts: PairedCounts
    gamma: float
    """Chance that the rate of flips lies outside [`lowest_rate`, `highest_rate`]."""
    lowest_rate: float
    highest_rate: float
    limits: NDArray[np.float64]
    """(k,) fractions in (-1, 1)."""
    discordants: NDArray[np.int64]
    """(m,) consecutive numbers of discordant pairs that have any probability."""
    most_losses: NDArray[np.int64]
    """(k, m) -1 where no result belongs to the region."""

    @property
    def starts(self) -> NDArray[np.int64]:
        """Return the indices of the limits whose region differs from that of the one before."""
        differs = np.any(self.most_losses[1:] != self.most_losses[:-1], axis=1)
        return np.concatenate([[0], 1 + np.flatnonzero(differs)])

    def p_value(self, index: int) -> float:
        """Return the p-value of "the drop is `limits[index]` or more".

        Notes
        -----
        Cost: 64 rates times m results. P(losses ≤ most | discordant) is carried from one number
        of discordant pairs to the next, where `most` rises by 0 or 1, so that only probabilities
        of single results are computed.
        """
        limit = float(self.limits[index])
        rates = self._rates(limit)[:, None]  # (r, 1)
        loss_shares = self._loss_shares(rates, limit)
        inside = _chance_inside(self.discordants, self.most_losses[index], loss_shares=loss_shares)
        weights = _binomial_pmf(self.discordants, self.counts.n, rates)
        largest = float(np.max(np.sum(np.multiply(weights, inside, out=inside), axis=1)))
        return min(1.0, largest + self.gamma * (1 + 2 * _CUT))

    def _rates(self, limit: float) -> NDArray[np.float64]:
        """Return the rates of flips to look at, from the smallest one that is possible."""
        floor = float(self.counts.smallest_rate(limit))
        low = max(self.lowest_rate, floor)
        width = max(self.highest_rate, low) - floor
        first = max(low - floor, width * _SMALLEST_RATE_STEP)
        steps = np.geomspace(first, width, _RATES) if width > 0 else np.zeros(0)
        return np.asarray(np.minimum(np.concatenate([[low], floor + steps]), 1.0))

    def _loss_shares(self, rates: NDArray[np.float64], limit: float) -> NDArray[np.float64]:
        """Return the part of losses among flips, on the boundary P(loss) - w·P(gain) = limit."""
        w = float(self.counts.gain_weight(limit))
        shares = (w + limit / np.where(rates > 0, rates, 1.0)) / (1 + w)
        return np.asarray(np.clip(shares, 0.0, 1.0))


def make_regions(counts: PairedCounts, limits: NDArray[np.float64], *, gamma: float) -> Regions:
    """Order all results by Tango's statistic and keep those up to the observed one.

    Parameters
    ----------
    counts : PairedCounts
        What was observed; at least one pair.
    limits : NDArray[np.float64]
        (k,) ascending drops under the null hypothesis, fractions in (-1, 1).
    gamma : float
        Error spent on the interval of the rate of flips, well below the level of the test.

    References
    ----------
    H.-M. Hsueh, J.-P. Liu, J. J. Chen, Biometrics 57 (2001) 478: unconditional test and ordering.
    R. L. Berger, D. D. Boos, JASA 89 (1994) 1012: restriction of the nuisance parameter. Agrees
    with the sum over all trinomial results to 1e-5 for n of 90 to 120.
    """
    m, n = counts.discordant, counts.n
    low = float(special.betaincinv(m, n - m + 1, gamma / 2)) if m > 0 else 0.0
    high = float(special.betaincinv(m + 1, n - m, 1 - gamma / 2)) if m < n else 1.0
    smallest_rates = counts.smallest_rate(limits)
    closest, farthest = float(np.min(smallest_rates)), float(np.max(smallest_rates))
    cut = _CUT * gamma
    fewest = _lower_quantile(n, max(low, closest), cut=cut)
    most = n - _lower_quantile(n, 1 - max(high, farthest), cut=cut)
    discordants = np.arange(fewest, most + 1)
    return Regions(
        counts=counts,
        gamma=gamma,
        lowest_rate=low,
        highest_rate=high,
        limits=limits,
        discordants=discordants,
        most_losses=_most_losses(discordants, counts, limits=limits),
    )


def _lower_quantile(n: int, rate: float, *, cut: float) -> int:
    """Return a count that Bin(n, rate) falls below with a chance of at most `cut`."""
    return bisect_left(
        range(n), x=True, key=lambda count: bool(special.bdtr(float(count), n, rate) > cut)
    )


def _most_losses(
    discordants: NDArray[np.int64], counts: PairedCounts, *, limits: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return the largest number of losses whose statistic is at most the observed one.

    Among results with the same number of discordant pairs the statistic rises with the losses:
    a binary search for each limit and number, all at once.
    """
    observed, weights = observed_z(counts, limits), counts.gain_weight(limits)[:, None]
    bar = observed + np.where(np.isfinite(observed), _TIE * (1 + np.abs(observed)), 0.0)
    inside = np.full((limits.size, discordants.size), -1)
    outside = np.broadcast_to(discordants + 1, inside.shape).copy()
    for _ in range(math.ceil(math.log2(int(discordants[-1]) + 2)) + 1):
        middle = (inside + outside) // 2
        losses = np.maximum(middle, 0)
        gains = discordants - losses
        z = score_z(losses, gains, n=counts.n, limit=limits[:, None], gain_weight=weights)
        fits = (z <= bar[:, None]) | (middle < 0)
        open_ = outside - inside > 1
        inside = np.where(open_ & fits, middle, inside)
        outside = np.where(open_ & ~fits, middle, outside)
    return inside


def _chance_inside(
    discordants: NDArray[np.int64],
    most: NDArray[np.int64],
    *,
    loss_shares: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return P(losses ≤ most | discordant) for each (r, 1) share and number of discordant pairs.

    For X ~ Bin(m, t): P(X' ≤ k) = P(X ≤ k) - t·P(X = k) and
    P(X' ≤ k+1) = P(X ≤ k) + (1 - t)·P(X = k+1), where X' has one trial more.
    """
    first = _binomial_cdf(int(most[0]), int(discordants[0]), loss_shares)
    rises = np.diff(most)
    single = _binomial_pmf(most[:-1] + rises, discordants[:-1], loss_shares)
    sums = np.empty((loss_shares.shape[0], most.size))
    sums[:, :1] = first
    np.multiply(single, (rises > 0) - loss_shares, out=sums[:, 1:])
    np.cumsum(sums, axis=1, out=sums)
    return np.clip(sums, 0.0, 1.0, out=sums)


def _binomial_cdf(k: int, n: int, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    if k < 0:
        return np.zeros_like(shares)
    return np.asarray(special.bdtr(float(k), n, shares))


def _binomial_pmf(
    k: NDArray[np.int64], n: NDArray[np.int64] | int, shares: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return P(Bin(n, share) = k), 0 where k lies outside 0..n; shares is (r, 1).

    Logarithms are taken of the shares alone, not of every element: most of the cost of a verdict.
    """
    possible = (k >= 0) & (k <= n)
    hits = np.where(possible, k, 0)
    misses = np.where(possible, n - hits, 0)
    log_ways = special.gammaln(hits + misses + 1.0) - special.gammaln(hits + 1.0)
    log_ways -= special.gammaln(misses + 1.0)
    with np.errstate(divide="ignore"):
        log_hit, log_miss = np.log(shares), np.log1p(-shares)
    chances = hits * np.maximum(log_hit, _LOG_OF_ZERO)
    chances += log_ways
    chances += misses * np.maximum(log_miss, _LOG_OF_ZERO)
    np.exp(chances, out=chances)
    chances[:, ~possible] = 0.0
    return np.asarray(chances)

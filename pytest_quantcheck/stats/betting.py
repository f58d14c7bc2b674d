"""Tests of the mean of bounded scores that stay valid when almost every difference is 0."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from pytest_quantcheck.stats.inversion import Interval, find_crossing
from pytest_quantcheck.stats.ratio_mean import ClusterSums

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRACTIONS = np.array([0.08, 0.25, 0.6, 0.98])
"""Bets as parts of the largest one; fixed before any data."""


def log_capitals(scores: ClusterSums, *, limit: float, reach: float) -> NDArray[np.float64]:
    """Return the log capital of each bet against "the mean is `limit` or more".

    Parameters
    ----------
    scores : ClusterSums
        Sums per cluster of differences within ±`reach`, and the clusters' weights.
    limit : float
        Mean under the null hypothesis, in (-reach, reach).
    reach : float
        Largest possible absolute difference, above 0.

    Returns
    -------
    NDArray[np.float64]
        (4,) one for each fraction; the expected capital is at most 1 under the null hypothesis.

    References
    ----------
    I. Waudby-Smith, A. Ramdas, JRSS B 86 (2024) 1, arXiv:2010.09686: capital
    processes, here with constant bets.
    """
    share = limit / reach
    stakes = (scores.sums / reach - share * scores.sizes) / float(np.max(scores.sizes))  # (g,)
    bets = FRACTIONS[:, None] / (1 - share)  # (4, 1)
    return np.asarray(np.sum(np.log1p(-bets * stakes), axis=1))


def log_e(scores: ClusterSums, *, limit: float, reach: float) -> float:
    """Return the log e-value of "the mean is `limit` or more": the mean of four bets."""
    capitals = log_capitals(scores, limit=limit, reach=reach)
    return float(special.logsumexp(capitals)) - math.log(FRACTIONS.size)


def betting_p_pass(scores: ClusterSums, *, limit: float, reach: float) -> float:
    """Return min(1, 1/E), a p-value of "the mean is `limit` or more" by Markov's inequality."""
    return math.exp(min(0.0, -log_e(scores, limit=limit, reach=reach)))


def betting_p_fail(scores: ClusterSums, *, limit: float, reach: float) -> float:
    """Return a p-value of "the mean is `limit` or less"."""
    return betting_p_pass(negate(scores), limit=-limit, reach=reach)


def invert_bets(scores: ClusterSums, *, reach: float, alpha: float) -> Interval:
    """Return the means that neither bet rejects at level `alpha`."""
    return Interval(
        low=-_upper_limit(negate(scores), reach=reach, alpha=alpha),
        high=_upper_limit(scores, reach=reach, alpha=alpha),
    )


def _upper_limit(scores: ClusterSums, *, reach: float, alpha: float) -> float:
    def loss(limit: float) -> float:
        return -log_e(scores, limit=limit, reach=reach)

    mean = math.fsum(scores.sums) / scores.total_size
    return find_crossing(loss, math.log(alpha), low=mean, high=reach) if mean < reach else reach


def tie_p_pass(n: int, *, limit: float, reach: float) -> float:
    """Return the p-value of "the mean is `limit` or more" where n differences are all 0.

    Notes
    -----
    A mean of `limit` needs a difference above 0 in a share limit/reach of all examples at least,
    so that none is seen with probability (1 - limit/reach)^n at most.
    """
    return (1 - max(0.0, limit) / reach) ** n


def invert_ties(n: int, *, reach: float, alpha: float) -> Interval:
    """Return the means that n differences of 0 do not reject at level `alpha`."""
    half_width = -reach * math.expm1(math.log(alpha) / n)
    return Interval(low=-half_width, high=half_width)


def negate(scores: ClusterSums) -> ClusterSums:
    """Return the scores with reference and variant exchanged."""
    return ClusterSums(sums=-scores.sums, sizes=scores.sizes)

"""Tango's score statistic for a difference of paired proportions, and its large-sample test."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from pytest_quantcheck.stats.inversion import Interval, find_crossing

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedCounts:
    """How often reference and variant disagree on n right-or-wrong examples.

    A limit Δ says P(loss) - w·P(gain) ≤ Δ. For a drop w is 1. For the part of the reference's right
    answers that may be lost, net of gains, w is 1 - Δ, and n counts the examples that either has
    right: the others carry no evidence.
    """

    losses: int
    """Reference right, variant wrong."""
    gains: int
    """Reference wrong, variant right."""
    n: int
    is_relative: bool = False
    """Whether limits are parts of what the reference has right."""

    @property
    def discordant(self) -> int:
        """Examples on which the two disagree."""
        return self.losses + self.gains

    @property
    def drop(self) -> float:
        """Observed drop of the share of right answers, in [-1, 1]; relative ones from 1 down."""
        whole = self.n - self.gains if self.is_relative else self.n
        return (self.losses - self.gains) / whole if whole else -math.inf

    @property
    def finite_drop(self) -> float:
        """The observed drop, or where it is infinite one so low that no test tells them apart."""
        return max(self.drop, -1000.0 * self.n)

    def swap(self) -> PairedCounts:
        """Return the counts with reference and variant exchanged."""
        return replace(self, losses=self.gains, gains=self.losses)

    def opposite(self, drop: float) -> float:
        """Return a drop of reference to variant as one of variant to reference."""
        if not self.is_relative:
            return -drop
        return -drop / (1 - drop) if drop < 1 else -math.inf

    def gain_weight(self, limit: ArrayLike) -> NDArray[np.float64]:
        """Return what one gain makes up for, in losses."""
        drop = np.asarray(limit, dtype=np.float64)
        return 1 - drop if self.is_relative else np.ones_like(drop)

    def smallest_rate(self, limit: ArrayLike) -> NDArray[np.float64]:
        """Return the smallest rate of flips that allows a drop of `limit`."""
        drop = np.asarray(limit, dtype=np.float64)
        return np.maximum(drop, -drop / self.gain_weight(limit))


def score_z(
    losses: ArrayLike,
    gains: ArrayLike,
    *,
    n: int,
    limit: ArrayLike,
    gain_weight: ArrayLike = 1.0,
) -> NDArray[np.float64]:
    """Return Tango's score statistic of a drop equal to `limit`.

    Parameters
    ----------
    losses, gains : array_like
        Counts, broadcast against each other and `limit`; losses + gains ≤ n.
    n : int
        Pairs in all, at least 1.
    limit : array_like
        Drop under the null hypothesis, a fraction in (-1, 1).
    gain_weight : array_like
        w of `PairedCounts`, above 0.

    Returns
    -------
    NDArray[np.float64]
        Above 0 where more is lost than `limit`; ±inf where the null leaves no variance.

    Notes
    -----
    The restricted estimate of P(gain) is the larger root of w(1 + w)n·q² + u·q + v = 0; where
    u > 0 the root is taken in the form that subtracts nothing.

    References
    ----------
    With w = 1 - limit it is the score test of a ratio of paired proportions, J. Nam,
    W. C. Blackwelder, Statistics in Medicine 21 (2002) 689, on the examples either has right.
    T. Tango, Statistics in Medicine 17 (1998) 891. Agrees with the intervals printed
    there and with the R packages `ratesci` and `contingencytables` to the digits they print.
    """
    lost, gained, drop = (np.asarray(x, dtype=np.float64) for x in (losses, gains, limit))
    w = np.asarray(gain_weight, dtype=np.float64)
    excess = lost - w * gained - n * drop
    squared = w * (1 + w) * n
    u = (1 + w) * drop * (n - lost) - w * (1 - drop) * (lost + gained)
    v = -gained * drop * (1 - drop)
    root = np.sqrt(np.maximum(u * u - 4 * squared * v, 0.0))
    positive = np.where(u + root > 0, u + root, 1.0)
    q = np.where(u <= 0, (root - u) / (2 * squared), -2 * v / positive)
    q = np.maximum(q, np.maximum(0.0, -drop / w))
    variance = n * (w * (1 + w) * q + drop * (1 - drop))
    finite = excess / np.sqrt(np.where(variance > 0, variance, 1.0))
    certain = np.where(excess == 0, 0.0, np.copysign(np.inf, excess))
    return np.where(variance > 0, finite, certain)


def tango_interval(counts: PairedCounts, *, quantile: float) -> Interval:
    """Return the drops whose score statistic lies within ±`quantile`.

    Parameters
    ----------
    counts : PairedCounts
        At least one pair.
    quantile : float
        Upper quantile of the reference distribution, above 0.

    References
    ----------
    T. Tango, Statistics in Medicine 17 (1998) 891.
    """
    swapped = counts.swap()
    return Interval(
        low=swapped.opposite(tango_upper(swapped, quantile=quantile)),
        high=tango_upper(counts, quantile=quantile),
    )


def tango_upper(counts: PairedCounts, *, quantile: float) -> float:
    """Return the upper end of `tango_interval`."""
    if counts.losses == counts.n:
        return 1.0

    def excess(limit: float) -> float:
        return float(observed_z(counts, limit))

    return find_crossing(excess, -quantile, low=counts.finite_drop, high=1.0)


def observed_z(counts: PairedCounts, limit: ArrayLike) -> NDArray[np.float64]:
    """Return the score statistic of these counts at each limit."""
    weight = counts.gain_weight(limit)
    return score_z(counts.losses, counts.gains, n=counts.n, limit=limit, gain_weight=weight)


def tango_p_pass(counts: PairedCounts, *, limit: float) -> float:
    """Return the large-sample p-value of "the drop is `limit` or more"."""
    return float(special.ndtr(observed_z(counts, limit)))

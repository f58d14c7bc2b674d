"""Tango's score statistic for a difference of paired proportions, and its large-sample test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from pytest_quantcheck.stats.inversion import Interval, find_crossing

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedCounts:
    """How often reference and variant disagree on n right-or-wrong examples."""

    losses: int
    """Reference right, variant wrong."""
    gains: int
    """Reference wrong, variant right."""
    n: int

    @property
    def discordant(self) -> int:
        """Examples on which the two disagree."""
        return self.losses + self.gains

    @property
    def drop(self) -> float:
        """Observed drop of the share of right answers, in [-1, 1]."""
        return (self.losses - self.gains) / self.n

    def swap(self) -> PairedCounts:
        """Return the counts with reference and variant exchanged."""
        return PairedCounts(losses=self.gains, gains=self.losses, n=self.n)


def score_z(
    losses: ArrayLike, gains: ArrayLike, *, n: int, limit: ArrayLike
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

    Returns
    -------
    NDArray[np.float64]
        Above 0 where more is lost than `limit`; ±inf where the null leaves no variance.

    Notes
    -----
    The restricted estimate of P(gain) is the larger root of 2n·q² + u·q + v = 0; where u > 0 the
    root is taken in the form that subtracts nothing.

    References
    ----------
    T. Tango, Statistics in Medicine 17 (1998) 891. Agrees with the intervals printed
    there and with the R packages `ratesci` and `contingencytables` to the digits they print.
    """
    lost, gained, drop = (np.asarray(x, dtype=np.float64) for x in (losses, gains, limit))
    excess = lost - gained - n * drop
    u = (2 * n - lost + gained) * drop - lost - gained
    v = -gained * drop * (1 - drop)
    root = np.sqrt(np.maximum(u * u - 8 * n * v, 0.0))
    positive = np.where(u + root > 0, u + root, 1.0)
    q = np.where(u <= 0, (root - u) / (4 * n), -2 * v / positive)
    q = np.maximum(q, np.maximum(0.0, -drop))
    variance = n * (2 * q + drop * (1 - drop))
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

    def excess(limit: float) -> float:
        return float(score_z(counts.losses, counts.gains, n=counts.n, limit=limit))

    drop = counts.drop
    return Interval(
        low=-1.0 if drop == -1 else find_crossing(excess, quantile, low=-1.0, high=drop),
        high=1.0 if drop == 1 else find_crossing(excess, -quantile, low=drop, high=1.0),
    )


def tango_p_pass(counts: PairedCounts, *, limit: float) -> float:
    """Return the large-sample p-value of "the drop is `limit` or more"."""
    return float(special.ndtr(score_z(counts.losses, counts.gains, n=counts.n, limit=limit)))

"""Bets against either side of a limit, whose winnings are evidence at any time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_quantcheck.stats.betting import FRACTIONS

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def growth_of_bet(excesses: ArrayLike, *, farthest: float) -> NDArray[np.float64]:
    """Return (4, ...) by how much each bet on one side of a limit grows, as a logarithm.

    Parameters
    ----------
    excesses : array_like
        By how much observations exceed the limit.
    farthest : float
        The farthest they can lie on the side that is bet against: above 0 for a bet that the
        limit is kept, below 0 for one that it is exceeded.
    """
    return growth_of_stakes(-np.asarray(excesses, dtype=np.float64) / farthest)


def growth_of_stakes(stakes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (4, ...) the growth of each bet where the largest would win `stakes`, -1 or more."""
    fractions = FRACTIONS.reshape(-1, *[1] * stakes.ndim)
    return np.asarray(np.log1p(fractions * stakes))


def log_mixture(capitals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm of the mean of (4, ...) capitals, given as logarithms."""
    largest = capitals.max(axis=0)
    return np.asarray(largest + np.log(np.mean(np.exp(capitals - largest), axis=0)))


class Wealth:
    """What four constant bets on each side have won so far.

    Notes
    -----
    Where the limit is kept, the expected winnings of the bets on FAIL are at most 1 at all times,
    so that they reach 1/alpha ever with probability alpha at most (Ville's inequality); and the
    same of PASS where the limit is exceeded. Observations must be independent, or drawn in random
    order; it does not matter when one looks, and how many there will be.

    References
    ----------
    I. Waudby-Smith, A. Ramdas, JRSS B 86 (2024) 1, arXiv:2010.09686.
    """

    def __init__(self, *, lowest: float, highest: float) -> None:
        """Start with 1 on either side; excesses lie in [`lowest`, `highest`], around 0."""
        self._lowest, self._highest = lowest, highest
        self._pass, self._fail = np.zeros((2, FRACTIONS.size))

    def bet(self, excesses: NDArray[np.float64]) -> None:
        """Add (g,) observations, as they exceed the limit."""
        self._pass += growth_of_bet(excesses, farthest=self._highest).sum(axis=1)
        self._fail += growth_of_bet(excesses, farthest=self._lowest).sum(axis=1)

    @property
    def log_e_pass(self) -> float:
        """Logarithm of the e-value of "at or over the limit"; large shows PASS."""
        return float(log_mixture(self._pass))

    @property
    def log_e_fail(self) -> float:
        """Logarithm of the e-value of "within the limit"; large shows FAIL."""
        return float(log_mixture(self._fail))

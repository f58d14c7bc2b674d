"""The chance that looks show what is true, and how many more examples than one test they take."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize

from pytest_quantcheck.stats.inversion import normal_quantile
from pytest_quantcheck.stats.power import POWER
from pytest_quantcheck.stats.sequential.boundaries import boundary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(256)
_SPREADS = 9.0
"""Paths farther than so many standard errors from their mean are left out."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Paths:
    """Where the score may be that has crossed no boundary: a Brownian motion with drift."""

    drift: float
    """Mean of z with all examples, 0 or more."""
    time: float = 0.0
    """Part of all examples."""
    places: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))
    """(k,) nodes of the quadrature."""
    masses: NDArray[np.float64] = field(default_factory=lambda: np.ones(1))
    """(k,) their density times its weight."""

    @property
    def chance(self) -> float:
        """Return the chance that no boundary was crossed."""
        return min(1.0, float(np.sum(self.masses)))

    def until(self, time: float, *, low: float, high: float) -> Paths | None:
        """Return the paths whose z lies between two boundaries at the next look; None if none."""
        root, step = math.sqrt(time), time - self.time
        low = max(low, self.drift * root - _SPREADS) * root
        high = min(high, self.drift * root + _SPREADS) * root
        if low >= high:
            return None
        places = low + (high - low) / 2 * (_NODES + 1)
        distances = (places[:, None] - self.places - self.drift * step) / math.sqrt(step)
        kernel = np.exp(-(distances**2) / 2) / math.sqrt(2 * math.pi * step)
        masses = (high - low) / 2 * _WEIGHTS * (kernel @ self.masses)
        return Paths(drift=self.drift, time=time, places=places, masses=masses)


def crossing_chance(times: Sequence[float], bounds: Sequence[float], *, drift: float) -> float:
    """Return the chance that z reaches its boundary at one of the looks.

    Parameters
    ----------
    times : sequence of float
        Looks as parts of all examples, ascending in (0, 1].
    bounds : sequence of float
        The boundary at each.
    drift : float
        Mean of z with all examples, 0 or more.

    References
    ----------
    C. Jennison, B. W. Turnbull, "Group Sequential Methods" (2000), chapter 19. Agrees with the
    multivariate normal distribution of scipy, and with their sample sizes of O'Brien-Fleming tests.
    """
    paths = Paths(drift=drift)
    for time, bound in zip(times, bounds, strict=True):
        still = paths.until(time, low=-math.inf, high=bound)
        if still is None:
            return 1.0
        paths = still
    return 1.0 - paths.chance


@lru_cache(maxsize=256)
def examples_factor(times: tuple[float, ...], alpha: float, *, planned_at: float) -> float:
    """Return how many times the examples of one test looks take for 80 % power.

    Parameters
    ----------
    times : tuple of float
        Looks as parts of all examples, the last at 1.
    alpha : float
        One-sided level that all looks spend together.
    planned_at : float
        Level of the one test.

    Notes
    -----
    The drift at which the boundaries of this spending are crossed with 80 % chance, over that of
    the one test, squared. Bets between looks add to the chance, which is not counted.
    """
    bounds = [boundary(times[: k + 1], alpha) for k in range(len(times))]
    beyond = normal_quantile(1 - POWER)
    lowest, highest = normal_quantile(alpha) + beyond, bounds[-1] + beyond
    drift = lowest
    if len(times) > 1:
        drift = optimize.brentq(
            lambda drift: crossing_chance(times, bounds, drift=drift) - POWER, lowest, highest
        )
    return float((drift / (normal_quantile(planned_at) + beyond)) ** 2)

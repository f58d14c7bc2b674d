"""How many examples looks are expected to take, before anything is measured."""

from __future__ import annotations

import math

from pytest_quantcheck.stats.inversion import normal_quantile
from pytest_quantcheck.stats.power import POWER
from pytest_quantcheck.stats.sequential.boundaries import boundary
from pytest_quantcheck.stats.sequential.crossing import Paths
from pytest_quantcheck.stats.sequential.population import LOOK_SHARE


def expected_examples(
    looks: tuple[int, ...], *, drift: float, towards: float, against: float
) -> float:
    """Return the mean number of examples until one of two boundaries is crossed.

    Parameters
    ----------
    looks : tuple of int
        Examples at each look, ascending; the last is all of them.
    drift : float
        Mean of the test's z with all examples, 0 or more.
    towards, against : float
        Levels of the side that the truth is on, and of the other one.

    Notes
    -----
    The score is a Brownian motion with drift, as in `boundaries`. Bets between looks stop gross
    failures earlier still; right or wrong answers that rarely differ are less than normal.
    """
    n = looks[-1]
    expected, paths = 0.0, Paths(drift=drift)
    times: tuple[float, ...] = ()
    for look in looks[:-1]:
        times = (*times, look / n)
        still = paths.until(
            times[-1],
            low=-boundary(times, LOOK_SHARE * against),
            high=boundary(times, LOOK_SHARE * towards),
        )
        if still is None:
            return expected + look * paths.chance
        expected += look * (paths.chance - still.chance)
        paths = still
    return expected + n * paths.chance


def drift_of(n: int, *, needed: float, alpha: float) -> float:
    """Return the mean of z with n examples, where `needed` of them give 80 % power at `alpha`."""
    return (normal_quantile(alpha) + normal_quantile(1 - POWER)) * math.sqrt(n / needed)

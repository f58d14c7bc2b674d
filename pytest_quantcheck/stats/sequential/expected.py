"""How many examples looks are expected to take, before anything is measured."""

from __future__ import annotations

import math

import numpy as np

from pytest_quantcheck.stats.inversion import normal_quantile
from pytest_quantcheck.stats.power import POWER
from pytest_quantcheck.stats.sequential.boundaries import boundary
from pytest_quantcheck.stats.sequential.population import LOOK_SHARE

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(256)
_SPREADS = 9.0
"""Paths farther than so many standard errors from their mean are left out."""


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
    expected, going = 0.0, 1.0
    time, nodes, masses = 0.0, np.zeros(1), np.ones(1)
    times: tuple[float, ...] = ()
    for look in looks[:-1]:
        step, time = look / n - time, look / n
        times = (*times, time)
        root = math.sqrt(time)
        low = max(-boundary(times, LOOK_SHARE * against), drift * root - _SPREADS) * root
        high = min(boundary(times, LOOK_SHARE * towards), drift * root + _SPREADS) * root
        if low >= high:
            return expected + look * going
        places = low + (high - low) / 2 * (_NODES + 1)
        distances = (places[:, None] - nodes - drift * step) / math.sqrt(step)
        kernel = np.exp(-(distances**2) / 2) / math.sqrt(2 * math.pi * step)
        masses = (high - low) / 2 * _WEIGHTS * (kernel @ masses)
        nodes = places
        still = min(going, float(np.sum(masses)))
        expected += look * (going - still)
        going = still
    return expected + n * going


def drift_of(n: int, *, needed: float, alpha: float) -> float:
    """Return the mean of z with n examples, where `needed` of them give 80 % power at `alpha`."""
    return (normal_quantile(alpha) + normal_quantile(1 - POWER)) * math.sqrt(n / needed)

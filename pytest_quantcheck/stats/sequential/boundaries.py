"""How much of the error each look may spend: O'Brien-Fleming boundaries for any times of looks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize, special

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(256)
_LOWEST, _HIGHEST = -8.0, 10.0
"""Between these, in standard errors, paths are followed."""
_FARTHEST = 37.0
"""Beyond this z the normal tail is below 1e-299."""
_SMALLEST = 1e-299


@dataclass(frozen=True, slots=True, eq=False)
class _Stage:
    """What is known after one look, under the null hypothesis."""

    z: float
    """The test rejects from this standard normal value on."""
    time: float
    nodes: NDArray[np.float64]
    """(k,) values of the Brownian motion that have not crossed any boundary."""
    masses: NDArray[np.float64]
    """(k,) their density times the weight of the quadrature."""


def spent_error(time: float, alpha: float) -> float:
    """Return the error that may be spent up to `time`, a part of all examples in (0, 1].

    References
    ----------
    K. K. G. Lan, D. L. DeMets, Biometrika 70 (1983) 659: spending of O'Brien-Fleming type.
    """
    return 2 * float(special.ndtr(special.ndtri(alpha / 2) / math.sqrt(time)))


def boundary(times: tuple[float, ...], alpha: float) -> float:
    """Return the z from which on the last of these looks rejects, one-sided.

    Parameters
    ----------
    times : tuple of float
        All looks so far, parts of all examples, ascending in (0, 1].
    alpha : float
        One-sided level of all looks together, in (0, 0.5).
    """
    return crossing(times, tuple(spent_error(time, alpha) for time in times))


def nominal_level(times: tuple[float, ...], alpha: float) -> float:
    """Return the largest p-value with which the last of these looks rejects."""
    return float(special.ndtr(-boundary(times, alpha)))


def crossing(times: tuple[float, ...], spent: tuple[float, ...]) -> float:
    """Return the z that is first crossed at the last time with the error then spent.

    Parameters
    ----------
    times : tuple of float
        Ascending in (0, 1].
    spent : tuple of float
        Error spent up to each time, ascending.

    Notes
    -----
    Later looks do not matter, and earlier ones are remembered: one more look costs 1 ms. The score
    is a Brownian motion; paths that have not crossed are carried from look to look by
    Gauss-Legendre quadrature over 256 points.

    References
    ----------
    C. Jennison, B. W. Turnbull, "Group Sequential Methods" (2000), chapters 7 and 19. Five equal
    looks at alpha .025 give 4.8769, 3.3569, 2.6803, 2.2898 and 2.0310, as the R packages
    `ldbounds` and `gsDesign` print.
    """
    return _stage(times, spent).z


@lru_cache(maxsize=2048)
def _stage(times: tuple[float, ...], spent: tuple[float, ...]) -> _Stage:
    time = times[-1]
    if len(times) == 1:
        z = -float(special.ndtri(max(spent[-1], _SMALLEST)))
        nodes, weights = _lay_nodes(z, time)
        density = np.exp(-(nodes**2) / (2 * time)) / math.sqrt(2 * math.pi * time)
        return _Stage(z, time, nodes, weights * density)
    before = _stage(times[:-1], spent[:-1])
    step = math.sqrt(time - before.time)
    z = _solve(before, time, step=step, spent=max(spent[-1] - spent[-2], _SMALLEST))
    nodes, weights = _lay_nodes(z, time)
    distances = (nodes[:, None] - before.nodes) / step
    kernel = np.exp(-(distances**2) / 2) / (math.sqrt(2 * math.pi) * step)
    return _Stage(z, time, nodes, weights * (kernel @ before.masses))


def _solve(before: _Stage, time: float, *, step: float, spent: float) -> float:
    """Return the z that paths cross at `time` for the first time with probability `spent`."""

    def excess(z: float) -> float:
        crossing = special.ndtr((before.nodes - z * math.sqrt(time)) / step)
        return math.log(max(float(crossing @ before.masses), _SMALLEST)) - math.log(spent)

    if excess(_FARTHEST) >= 0:
        return _FARTHEST
    return float(optimize.brentq(excess, _LOWEST, _FARTHEST, xtol=1e-10))


def _lay_nodes(z: float, time: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    root = math.sqrt(time)
    low, high = _LOWEST * root, min(z, _HIGHEST) * root
    half = (high - low) / 2
    return low + half * (_NODES + 1), half * _WEIGHTS

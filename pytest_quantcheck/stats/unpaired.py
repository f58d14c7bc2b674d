"""The difference of two means on different examples, where pairing has nothing to hold on to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.stats.inversion import student_quantile

if TYPE_CHECKING:
    from pytest_quantcheck.stats.scores import ExampleScores

MIN_UNITS = 20
"""Examples, or clusters, on each side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanDifference:
    """Second mean minus first, per weight."""

    value: float
    low: float
    high: float
    p_larger: float
    """One-sided p-value of "the second is not larger"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mean:
    value: float
    variance: float
    n: int
    """Clusters, or examples that stand alone."""


def compare_means(first: ExampleScores, second: ExampleScores, *, alpha: float) -> MeanDifference:
    """Return the difference of two means, with its two-sided interval of level 1 - 2·alpha.

    Parameters
    ----------
    first, second : ExampleScores
        One metric on independent examples.
    alpha : float
        Error rate of each end of the interval, in (0, 0.5).

    Raises
    ------
    MeasurementError
        A side has fewer than 20 examples or clusters, or nothing varies.

    Notes
    -----
    Welch's t-test of the residuals of ratio means, summed over clusters (Taylor linearization). Of
    examples that stand alone with equal weights it is Welch's test itself: agrees with
    `scipy.stats.ttest_ind(equal_var=False)`.

    References
    ----------
    B. L. Welch, Biometrika 34 (1947) 28; W. G. Cochran, Sampling Techniques (1977), section 6.
    """
    before, after = _mean(first), _mean(second)
    variance = before.variance + after.variance
    if variance == 0:
        raise MeasurementError("no score differs from another, so there is no error to estimate")
    degrees = variance**2 / sum(one.variance**2 / (one.n - 1) for one in (before, after))
    value, error = after.value - before.value, math.sqrt(variance)
    reach = student_quantile(alpha, df=degrees) * error
    return MeanDifference(
        value=value,
        low=value - reach,
        high=value + reach,
        p_larger=float(special.stdtr(degrees, -value / error)),
    )


def _mean(scores: ExampleScores) -> _Mean:
    total = math.fsum(scores.weights)
    value = math.fsum(scores.values) / total
    residuals = scores.values - value * scores.weights
    if scores.clusters is not None:
        _, codes = np.unique(scores.clusters, return_inverse=True)
        residuals = np.bincount(codes, weights=residuals).astype(np.float64)
    n = residuals.size
    if n < MIN_UNITS:
        raise MeasurementError(f"{n} examples or clusters, at least {MIN_UNITS} are needed")
    variance = n / (n - 1) * math.fsum(residuals**2) / total**2
    return _Mean(value=value, variance=variance, n=n)

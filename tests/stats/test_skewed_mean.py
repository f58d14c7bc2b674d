"""Hall's test: scipy, exact arithmetic and a bisection as oracles; the guard."""

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import optimize, stats

from pytest_quantcheck.core.budget import Gate
from pytest_quantcheck.stats.ratio_mean import ClusterSums
from pytest_quantcheck.stats.skewed_mean import estimate_skewed_ratio_mean

SKEWED = np.random.default_rng(2).lognormal(-3, 1, 40)


def estimate(values):
    """Return the mean of documents of one length."""
    return estimate_skewed_ratio_mean(
        ClusterSums(sums=values, sizes=np.ones(values.size)), least=0.0
    )


def test_no_skewness_gives_the_t_test():
    values = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    found = estimate(values)
    # Hall's deviation has divisor n, that of the t-test n - 1.
    t = stats.ttest_1samp(values, 0.5, alternative="less").statistic * math.sqrt(6 / 5)
    assert found.skewness == pytest.approx(0, abs=1e-12)
    assert found.p_pass(0.5) == pytest.approx(stats.t.cdf(t, 5), rel=1e-9)
    assert found.p_fail(0.5) == pytest.approx(stats.t.sf(t, 5), rel=1e-9)
    half_width = stats.t.ppf(0.95, 5) * np.std(values) / math.sqrt(6)
    interval = found.invert(alpha=0.05)
    assert (interval.low, interval.high) == pytest.approx((0.35 - half_width, 0.35 + half_width))


def test_moments_equal_scipy_and_exact_arithmetic():
    found = estimate(SKEWED)
    exact = [Fraction(value) for value in SKEWED]
    mean = sum(exact) / 40
    assert found.mean == pytest.approx(float(mean), rel=1e-15)
    assert found.deviation**2 == pytest.approx(float(sum((x - mean) ** 2 for x in exact) / 40))
    assert found.skewness == pytest.approx(stats.skew(SKEWED), rel=1e-12)
    assert found.largest_share == pytest.approx(SKEWED.max() / SKEWED.sum())


def test_transform_is_halls_formula():
    found, limit = estimate(SKEWED), 0.15
    g, w = stats.skew(SKEWED), (SKEWED.mean() - limit) / SKEWED.std()
    assert found.transform(limit) == pytest.approx(
        math.sqrt(40) * (w + g * w**2 / 3 + g**2 * w**3 / 27 + g / 240), rel=1e-12
    )


@pytest.mark.parametrize("values", [SKEWED, np.array([0.1, 0.2, 0.3, 0.4, 0.5 + 1e-9]) + 1])
@pytest.mark.parametrize("alpha", [0.05, 0.0025])
def test_interval_ends_where_the_tests_do(values, alpha):
    found = estimate(values)
    interval = found.invert(alpha=alpha)
    high = optimize.brentq(lambda limit: found.p_pass(limit) - alpha, found.mean, 100)
    assert interval.high == pytest.approx(high, rel=1e-9)
    if interval.low > 0:
        assert found.p_fail(interval.low) == pytest.approx(alpha, rel=1e-6)
    else:
        assert found.p_fail(0.0) > alpha


def test_p_values_are_monotone_in_the_limit():
    p = [estimate(SKEWED).p_pass(limit) for limit in np.linspace(0, 1, 101)]
    assert np.all(np.diff(p) <= 0)
    assert p[0] > 0.99
    assert p[-1] < 1e-6


def test_order_changes_nothing():
    shuffled = np.random.default_rng(0).permutation(SKEWED)
    assert estimate(shuffled) == estimate(SKEWED)


def test_pass_takes_more_examples_the_skewer_they_are():
    mostly_small = estimate(np.repeat([0.01, 1.0], [99, 1]))
    assert mostly_small.skewness == pytest.approx(9.849371, rel=1e-6)  # (1 - 2p)/√(p(1 - p))
    assert mostly_small.examples_for_pass(Gate.STRICT) == 2426
    assert mostly_small.examples_for_pass(Gate.REGRESSION) == 971
    assert mostly_small.largest_share == pytest.approx(1 / 1.99)


@pytest.mark.parametrize("values", [np.zeros(50), np.full(50, 0.1), np.array([0.1])])
def test_values_without_spread_tell_nothing(values):
    found = estimate(values)
    assert (found.p_pass(10.0), found.p_fail(0.0)) == (1.0, 1.0)
    assert (found.invert(alpha=0.05).low, found.invert(alpha=0.05).high) == (0.0, math.inf)
    assert found.examples_for_pass(Gate.STRICT) == 1


def test_tiny_divergences_have_a_spread():
    assert estimate(SKEWED * 1e-15).deviation > 0

"""Ratio mean: oracles of matrix algebra, statsmodels and scipy."""

import math

import numpy as np
import pytest
from scipy import linalg, stats

from pytest_quantcheck.stats.ratio_mean import ClusterSums, add_up, estimate_ratio_mean

RNG_SEED = 20


def clustered(seed=RNG_SEED):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 9, 12)
    clusters = np.repeat(np.arange(12), sizes)
    return rng.normal(0.1, 1, sizes.sum()) + rng.normal(0, 0.5, 12)[clusters], clusters


def estimate(values, clusters=None, weights=None):
    weights = np.ones(values.size) if weights is None else weights
    return estimate_ratio_mean(add_up(values, weights, clusters=clusters))


def test_error_and_df_equal_the_matrix_formula():
    # Bell and McCaffrey 2002: adjustment (I - H_gg)^(-1/2); df = tr(M)^2 / tr(M^2)
    values, clusters = clustered()
    n = values.size
    residual_maker = np.eye(n) - np.ones((n, n)) / n
    residuals = residual_maker @ values
    columns, variance = [], 0.0
    for g in range(clusters.max() + 1):
        rows = clusters == g
        root = linalg.sqrtm(residual_maker[np.ix_(rows, rows)]).real
        adjusted = linalg.inv(root) @ np.ones(rows.sum())
        variance += (adjusted @ residuals[rows] / n) ** 2
        columns.append(residual_maker[:, rows] @ adjusted / n)
    gram = np.array(columns) @ np.array(columns).T
    found = estimate(values, clusters)
    assert found.error == pytest.approx(math.sqrt(variance), rel=1e-9)
    assert found.df == pytest.approx(np.trace(gram) ** 2 / np.trace(gram @ gram), rel=1e-9)


def test_error_without_leverage_equals_statsmodels():
    # OLS on a constant, cov_type="cluster", use_correction=False: bse of statsmodels 0.15.0
    values, clusters = clustered()
    by_cluster = add_up(values, np.ones(values.size), clusters=clusters)
    squares = (by_cluster.sums - values.mean() * by_cluster.sizes) ** 2
    kept = 1 - by_cluster.sizes / by_cluster.total_size
    found = estimate(values, clusters).error
    assert math.sqrt(np.sum(squares)) / values.size == pytest.approx(0.08875319507671062, rel=1e-12)
    assert found == pytest.approx(math.sqrt(np.sum(squares / kept)) / values.size, rel=1e-12)


def test_examples_that_stand_alone_give_the_t_test():
    values = np.array([0.3, -0.1, 0.25, 0.6, 0.11, -0.4])
    found = estimate(values)
    oracle = stats.ttest_1samp(values, 0.05, alternative="less")
    assert found.p_pass(0.05) == pytest.approx(oracle.pvalue, rel=1e-12)
    assert found.p_fail(0.05) == pytest.approx(1 - oracle.pvalue, rel=1e-12)
    assert found.df == pytest.approx(5)
    interval = found.invert(alpha=0.05)
    both = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert (interval.low, interval.high) == pytest.approx((both.low, both.high))


def test_weighted_mean_is_sum_over_sum():
    found = estimate(np.array([2.0, 9.0, 4.0]), weights=np.array([1.0, 3.0, 2.0]))
    assert found.mean == 15 / 6


def test_p_values_are_monotone_in_the_limit():
    found = estimate(*clustered())
    p = [found.p_pass(limit) for limit in np.linspace(-1, 1, 41)]
    assert np.all(np.diff(p) < 0)


def test_one_cluster_tells_nothing():
    found = estimate(np.array([1.0, 2.0, 4.0]), np.zeros(3, dtype=np.int64))
    assert (found.p_pass(100.0), found.p_fail(-100.0)) == (1.0, 1.0)
    assert math.isnan(found.error)
    assert found.invert(alpha=0.05).high == math.inf


@pytest.mark.parametrize("value", [0.1, 1e9])
def test_rounding_is_no_spread(value):
    assert estimate(np.full(50, value) * (1 + 1e-15 * np.arange(50))).error == 0.0


def test_share_of_the_largest_cluster():
    sums = np.array([0.5, -3.0, 0.5])
    assert ClusterSums(sums=sums, sizes=np.ones(3)).largest_share == 0.75
    assert ClusterSums(sums=np.zeros(3), sizes=np.ones(3)).largest_share == 0.0

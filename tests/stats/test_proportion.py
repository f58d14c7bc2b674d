"""Exact share: scipy as oracle, both bounds, clusters."""

import numpy as np
import pytest
from scipy import stats

from pytest_quantcheck.core.limit import Bound
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.proportion import clopper_pearson, estimate_share, is_mixed
from pytest_quantcheck.stats.ratio_mean import ClusterSums


@pytest.mark.parametrize(("hits", "n"), [(0, 40), (3, 40), (40, 40)])
def test_interval_equals_scipy(hits, n):
    oracle = stats.binomtest(hits, n).proportion_ci(0.9)
    found = clopper_pearson(hits, n, alpha=0.05)
    assert (found.low, found.high) == pytest.approx((oracle.low, oracle.high), abs=1e-12)


@pytest.mark.parametrize("hits", [0, 2, 30])
def test_p_values_equal_scipy(hits):
    found = estimate_share(hits, 30, limit=0.1, bound=Bound.UPPER, levels=levels(0.05, 1))
    less, greater = (
        stats.binomtest(hits, 30, 0.1, alternative=side).pvalue for side in ("less", "greater")
    )
    assert (found.p_pass, found.p_fail) == pytest.approx((less, greater))


def test_lower_bound_exchanges_the_tests():
    upper, lower = (
        estimate_share(27, 30, limit=0.8, bound=bound, levels=levels(0.05, 1)) for bound in Bound
    )
    assert (upper.p_pass, upper.p_fail) == (lower.p_fail, lower.p_pass)
    assert (upper.low, upper.high) == (lower.low, lower.high)


@pytest.mark.parametrize(
    ("with_hit", "with_miss", "expected"), [(20, 20, True), (19, 40, False), (40, 19, False)]
)
def test_t_test_needs_twenty_clusters_of_either_kind(with_hit, with_miss, expected):
    sums = np.array([2.0] * (40 - with_miss) + [1.0] * (with_hit + with_miss - 40) + [0.0] * 40)
    sums = sums[:40]
    assert np.count_nonzero(sums > 0) == with_hit
    assert is_mixed(ClusterSums(sums=sums, sizes=np.full(40, 2.0))) is expected

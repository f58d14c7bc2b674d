"""Exact share: scipy as oracle, both bounds, clusters."""

import numpy as np
import pytest
from scipy import stats

from pytest_quantcheck.core.limit import Bound, Statistic
from pytest_quantcheck.core.verdict import Outcome
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.proportion import (
    clopper_pearson,
    estimate_share,
    estimate_whole_clusters,
    has_equal_sizes,
    is_mixed,
)
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


def test_clusters_as_wholes_count_those_with_a_hit_and_those_without_a_miss():
    by_cluster = ClusterSums(
        sums=np.array([4.0] * 10 + [1.0] * 5 + [0.0] * 25), sizes=np.full(40, 4)
    )
    alone = estimate_share(45, 160, limit=0.5, bound=Bound.UPPER, levels=levels(0.05, 1))

    found = {
        bound: estimate_whole_clusters(alone, by_cluster, limit=0.5, bound=bound) for bound in Bound
    }

    upper, lower = found[Bound.UPPER], found[Bound.LOWER]
    assert (upper.value, upper.n, upper.n_clusters) == (45 / 160, 160, 40)
    assert upper.p_pass == lower.p_fail == pytest.approx(stats.binom.cdf(15, 40, 0.5))
    assert upper.p_fail == lower.p_pass == pytest.approx(stats.binom.sf(9, 40, 0.5))
    assert upper.low == pytest.approx(stats.beta.ppf(0.05, 10, 31))
    assert upper.high == pytest.approx(stats.beta.ppf(0.95, 16, 25))


def test_clusters_of_one_size_are_told_from_others():
    sums = np.zeros(3)
    assert has_equal_sizes(ClusterSums(sums=sums, sizes=np.full(3, 2.0)))
    assert not has_equal_sizes(ClusterSums(sums=sums, sizes=np.array([2.0, 2.0, 1.0])))


@pytest.mark.parametrize(
    ("losses", "outcome"), [(0, Outcome.PASS), (30, Outcome.INCONCLUSIVE), (200, Outcome.FAIL)]
)
def test_flips_in_clusters_of_one_size_are_decided_as_wholes(make_counts, verdict, losses, outcome):
    found = verdict(
        0.2, *make_counts(losses, 0, 200, clusters=np.arange(200) // 2), Statistic.FLIPS
    )

    assert found.outcome is outcome
    assert found.estimate.n_clusters == 100
    assert found.estimate.p_pass == pytest.approx(stats.binom.cdf(losses // 2, 100, 0.2))
    assert found.estimate.p_fail == pytest.approx(stats.binom.sf(losses // 2 - 1, 100, 0.2))
    assert found.power == pytest.approx(_chance_of_fail(100, 0.2, found.power_at, 0.05))


def _chance_of_fail(n, limit, true, alpha):
    least = next(k for k in range(n + 2) if stats.binom.sf(k - 1, n, limit) <= alpha)
    return stats.binom.sf(least - 1, n, true)

"""Planning: exact power at the number given, and when no number would do."""

import math

import numpy as np
import pytest
from scipy import stats

from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.power import (
    level_towards,
    needed_bets,
    needed_clusters,
    needed_for_share,
    needed_pairs,
    round_up,
)
from pytest_quantcheck.stats.ratio_mean import ClusterSums, RatioMean


def test_no_flips_need_the_closed_form():
    # (1 - 0.01)^n <= 0.05 from 299 on
    assert math.ceil(needed_pairs(0.0, 0.0, limit=0.01, alpha=0.05)) == 299


@pytest.mark.parametrize("limit", [0.0, -0.01])
def test_no_flips_never_show_an_improvement(limit):
    assert needed_pairs(0.0, 0.0, limit=limit, alpha=0.05) == math.inf


def test_negative_limit_is_planned():
    # more gains than the limit asks for: fewer examples the farther from it
    far, near = (needed_pairs(0.0, gain, limit=-0.01, alpha=0.05) for gain in (0.1, 0.03))
    assert 0 < far < near < math.inf


def test_clusters_reach_the_power_of_the_t_test():
    mean = RatioMean(mean=0.0, error=0.02, df=29.0)
    needed = math.ceil(needed_clusters(mean, 30, limit=0.03, alpha=0.05))
    sd = 0.02 * math.sqrt(30)
    power = stats.nct.sf(stats.t.isf(0.05, needed - 1), needed - 1, 0.03 / (sd / needed**0.5))
    assert power == pytest.approx(0.8, abs=0.015)


@pytest.mark.parametrize(
    ("share", "limit"), [(0.0, 0.05), (0.02, 0.05), (0.1, 0.05), (0.95, 0.9), (0.5, 0.6)]
)
def test_share_keeps_its_power_from_there_on(share, limit):
    needed = int(needed_for_share(share, limit=limit, alpha=0.05))

    def power(n):
        if share < limit:
            most = stats.binom.ppf(0.05, n, limit)
            most -= stats.binom.cdf(most, n, limit) > 0.05
            return stats.binom.cdf(most, n, share)
        fewest = stats.binom.isf(0.05, n, limit) + 1
        return stats.binom.sf(fewest - 1, n, share)

    assert power(needed - 1) < 0.8
    assert np.min([power(n) for n in range(needed, needed + 100)]) >= 0.8


def test_large_share_problem_takes_the_normal_approximation():
    needed = needed_for_share(0.5, limit=0.51, alpha=0.05)
    by_hand = ((1.6448536 * math.sqrt(0.51 * 0.49) + 0.8416212 * 0.5) / 0.01) ** 2
    assert needed == pytest.approx(by_hand, rel=1e-6)


def test_single_example_can_be_enough():
    # one hit has the chance .04 at the limit, and is certain
    assert needed_for_share(1.0, limit=0.04, alpha=0.05) == 1


def test_bets_reach_their_capital_at_the_growth_seen():
    ties = ClusterSums(sums=np.zeros(40), sizes=np.ones(40))
    growth = math.log1p(0.98 * 0.1 / 0.9)
    assert needed_bets(ties, limit=0.1, reach=1.0, alpha=0.05) == pytest.approx(
        math.log(80) / growth
    )


def test_bets_face_the_side_of_the_estimate():
    losses = ClusterSums(sums=np.array([1.0, 1.0, 0.0]), sizes=np.ones(3))
    gains = ClusterSums(sums=-losses.sums, sizes=np.ones(3))
    assert needed_bets(losses, limit=0.1, reach=1.0, alpha=0.05) == needed_bets(
        gains, limit=-0.1, reach=1.0, alpha=0.05
    )


def test_bets_that_do_not_gain_never_suffice():
    near = ClusterSums(sums=np.array([1.0, -0.9, 0.0]), sizes=np.ones(3))
    assert needed_bets(near, limit=0.034, reach=1.0, alpha=0.05) == math.inf


def test_estimate_points_to_one_of_the_tests():
    family = levels(0.05, 10)
    assert level_towards(0.01, limit=0.02, levels=family) == 0.05
    assert level_towards(0.03, limit=0.02, levels=family) == 0.005
    assert level_towards(0.02, limit=0.02, levels=family) is None


@pytest.mark.parametrize("needed", [1.1e7, math.inf, math.nan])
def test_out_of_reach_is_none(needed):
    assert round_up(needed, at_least=20) is None


def test_needed_examples_are_whole_and_never_fewer_than_the_floor():
    assert (round_up(40.2, at_least=20), round_up(3.0, at_least=20)) == (41, 20)

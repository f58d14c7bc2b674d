"""Bets on bounded means: validity by enumeration, monotony, scale, interval."""

import itertools
import math

import numpy as np
import pytest

from pytest_quantcheck.stats.betting import (
    betting_p_fail,
    betting_p_pass,
    invert_bets,
    invert_ties,
    log_e,
    negate,
    tie_p_pass,
)
from pytest_quantcheck.stats.ratio_mean import ClusterSums


def sums(values, sizes=None):
    values = np.asarray(values, dtype=np.float64)
    return ClusterSums(sums=values, sizes=np.ones(values.size) if sizes is None else sizes)


@pytest.mark.parametrize("limit", [-0.1, 0.0, 0.2])
def test_expected_capital_at_the_limit_is_one(limit):
    # five draws of -1, 0, 1 whose mean is the limit: every sequence, weighted by its probability
    chance = {1.0: 0.3 + limit / 2, 0.0: 0.4, -1.0: 0.3 - limit / 2}
    expected = math.fsum(
        math.prod(chance[d] for d in draw) * math.exp(log_e(sums(draw), limit=limit, reach=1.0))
        for draw in itertools.product(chance, repeat=5)
    )
    assert expected == pytest.approx(1.0, abs=1e-12)


def test_p_values_are_monotone_in_the_limit():
    scores = sums([0.5, -0.2, *[0.0] * 60])
    limits = np.linspace(-0.9, 0.9, 37)
    assert np.all(np.diff([betting_p_pass(scores, limit=b, reach=1.0) for b in limits]) <= 0)
    assert np.all(np.diff([betting_p_fail(scores, limit=b, reach=1.0) for b in limits]) >= 0)


def test_scale_of_the_scores_does_not_matter():
    small, large = sums([0.5, *[0.0] * 60]), sums([50.0, *[0.0] * 60])
    assert betting_p_pass(small, limit=0.1, reach=1.0) == pytest.approx(
        betting_p_pass(large, limit=10.0, reach=100.0)
    )


def test_clusters_bet_on_their_sums():
    # twice the size at equal means per weight is a bet twice as large for the largest alone
    scores = ClusterSums(sums=np.array([0.0, 0.0]), sizes=np.array([1.0, 2.0]))
    bets = np.array([0.08, 0.25, 0.6, 0.98]) / 0.9
    by_hand = np.mean((1 + bets * 0.05) * (1 + bets * 0.1))
    assert log_e(scores, limit=0.1, reach=1.0) == pytest.approx(math.log(by_hand))


@pytest.mark.parametrize("values", [[0.4, *[0.0] * 99], [1.0] * 30, [-1.0] * 30, [0.1] * 25])
def test_interval_and_test_agree(values):
    scores, alpha = sums(values), 0.05
    interval = invert_bets(scores, reach=1.0, alpha=alpha)
    if interval.high < 1:
        assert betting_p_pass(scores, limit=interval.high + 1e-9, reach=1.0) <= alpha
        assert betting_p_pass(scores, limit=interval.high - 1e-9, reach=1.0) >= alpha
    if interval.low > -1:
        assert betting_p_fail(scores, limit=interval.low - 1e-9, reach=1.0) <= alpha
        assert betting_p_fail(scores, limit=interval.low + 1e-9, reach=1.0) >= alpha
    assert interval.low <= np.mean(values) <= interval.high


def test_exchange_flips_the_sign():
    scores = sums([0.4, -0.1, *[0.0] * 40])
    interval, swapped = (invert_bets(s, reach=1.0, alpha=0.05) for s in (scores, negate(scores)))
    assert (interval.low, interval.high) == pytest.approx((-swapped.high, -swapped.low))


def test_ties_follow_their_closed_form():
    # (1 - B/u)^n and its inverse u(1 - alpha^(1/n))
    assert tie_p_pass(58, limit=0.1, reach=2.0) == pytest.approx(0.95**58)
    assert tie_p_pass(58, limit=-0.1, reach=2.0) == 1.0
    interval = invert_ties(58, reach=2.0, alpha=0.05)
    assert tie_p_pass(58, limit=interval.high, reach=2.0) == pytest.approx(0.05)
    assert interval.low == -interval.high

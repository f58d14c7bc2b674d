"""Bets that are laid as examples come."""

import numpy as np
import pytest

from pytest_quantcheck.stats.betting import log_e, negate
from pytest_quantcheck.stats.ratio_mean import ClusterSums
from pytest_quantcheck.stats.sequential.wealth import Wealth


def wealth_at(limit):
    return Wealth(lowest=-1 - limit, highest=1 - limit)


def test_batch_by_batch_they_win_what_the_test_of_a_fixed_number_does():
    differences = np.random.default_rng(1).permutation(np.repeat([1.0, -1.0, 0.0], [9, 4, 487]))
    wealth, sums = wealth_at(0.02), ClusterSums(sums=differences, sizes=np.ones(500))

    for batch in np.split(differences, [50, 51, 300]):
        wealth.bet(batch - 0.02)

    assert wealth.log_e_pass == pytest.approx(log_e(sums, limit=0.02, reach=1))
    assert wealth.log_e_fail == pytest.approx(log_e(negate(sums), limit=-0.02, reach=1))


def test_looking_after_every_example_keeps_the_level():
    rng, runs, level, wrong = np.random.default_rng(2), 200, 0.2, 0
    for _ in range(runs):
        wealth, most = wealth_at(0.1), 0.0
        for loss in rng.random(200) < 0.1:
            wealth.bet(np.array([loss - 0.1]))
            most = max(most, wealth.log_e_fail)
        wrong += most >= -np.log(level)

    assert wrong / runs <= level + 3 * (level * (1 - level) / runs) ** 0.5

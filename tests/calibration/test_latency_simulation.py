"""Error and power of latency ratios in noise that has a memory, through the shipped functions."""

import itertools
import math

import numpy as np
import pytest
from table_latency import NOISE, independent, rates

from pytest_quantcheck.stats.latency import rank_signed


@pytest.mark.parametrize("per_block", [2, 4])
@pytest.mark.parametrize("name", NOISE)
def test_few_verdicts_at_the_limit_are_wrong(name, per_block):
    runs = 600
    rng = np.random.default_rng(12)
    found = rates(NOISE[name], runs, rng, excess=0.0, per_block=per_block)
    assert max(found.values()) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


def test_two_percent_are_shown():
    rng = np.random.default_rng(13)
    assert rates(independent, 200, rng, excess=0.02)["fail"] > 0.95
    assert rates(independent, 200, rng, excess=-0.02)["pass"] > 0.95


@pytest.mark.parametrize(
    "sizes",
    [
        [0.5, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144],
        [1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3],
        [0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2],
    ],
)
def test_level_holds_for_every_way_that_orders_can_fall(sizes):
    # At the limit a random order gives each value either sign: all 4,096 ways.
    wrong = [0, 0]
    for signs in itertools.product((-1.0, 1.0), repeat=12):
        found = rank_signed(np.array(sizes) * signs)
        wrong[0] += found.p_pass(0.0) <= 0.05
        wrong[1] += found.p_fail(0.0) <= 0.05
    assert 0 < max(wrong) <= 0.05 * 4096

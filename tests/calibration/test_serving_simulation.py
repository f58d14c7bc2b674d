"""Latency verdicts in noise, through the sampler: few are wrong at the limit, and all are told."""

import math

import numpy as np
import pytest
import table_serving
from table_serving import LIMIT, NOISE, SEEN

from pytest_quantcheck.core.verdict import Outcome

RUNS = 40


def shares(name, *, ratio, runs=RUNS, seed=5):
    rng = np.random.default_rng(seed)
    found = [table_serving.decided(name, rng, ratio=ratio).outcome for _ in range(runs)]
    return {outcome: found.count(outcome) / runs for outcome in Outcome}


@table_serving.deciding_alone
def wrong_at_the_limit(name):
    found = shares(name, ratio=LIMIT)
    return max(found[Outcome.PASS], found[Outcome.FAIL])


@pytest.mark.parametrize("name", ["drift of 5 %", "all of these", SEEN])
def test_few_verdicts_at_the_limit_are_wrong(name):
    assert wrong_at_the_limit(name) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / RUNS)


@pytest.mark.parametrize("name", ["all of these", SEEN])
def test_five_percent_over_fail_and_none_pass(name):
    assert shares(name, ratio=LIMIT * 1.05, runs=6)[Outcome.FAIL] == 1
    assert shares(name, ratio=1.0, runs=6)[Outcome.PASS] == 1


def test_throttling_that_is_reported_is_timed_again():
    rng = np.random.default_rng(0)
    world = table_serving.ThrottledWorld(rng, np.zeros(20 * table_serving.RUNS), ratio=1.0)
    conditions = table_serving.HonestConditions(world)
    held = [world.is_held(now) for now in np.arange(0, 20, 0.1)]

    assert 0 < sum(held) < len(held)
    assert conditions.read().reasons == (() if not world.is_held(0.0) else ("HwThermalSlowdown",))


def test_means_after_each_other_are_red_in_a_drift():
    rng = np.random.default_rng(0)
    found = [table_serving.compared("all of these", rng, ratio=1.0) for _ in range(100)]

    assert np.mean(found) > 0.3
    assert set(NOISE) >= {"independent, 2 %", "autocorrelation .98", "spikes"}

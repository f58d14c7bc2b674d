"""Chances of looks, and the examples they take: oracles of tables, scipy and simulation."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from pytest_quantcheck.core.grammar import parse_limit
from pytest_quantcheck.core.verdict import Outcome
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.plan import Assumptions, Plan
from pytest_quantcheck.stats.procedures import judge
from pytest_quantcheck.stats.sequential.boundaries import boundary
from pytest_quantcheck.stats.sequential.crossing import crossing_chance, examples_factor
from pytest_quantcheck.stats.sequential.plan import needed_with_looks, with_looks

TENTHS = tuple(k / 10 for k in range(1, 11))
FIFTHS = tuple(k / 5 for k in range(1, 6))


@pytest.mark.parametrize(
    ("looks", "constant", "factor"),
    [(2, 1.977, 1.008), (3, 2.004, 1.017), (5, 2.040, 1.028), (10, 2.087, 1.040)],
)
def test_o_brien_and_flemings_looks_take_what_is_tabulated(looks, constant, factor):
    # Jennison and Turnbull 2000: C_B and R_B of O'Brien-Fleming tests, alpha .05 two-sided
    times = [k / looks for k in range(1, looks + 1)]
    bounds = [constant / math.sqrt(time) for time in times]
    one = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)

    assert crossing_chance(times, bounds, drift=0.0) == pytest.approx(0.025, abs=1e-4)
    chance = crossing_chance(times, bounds, drift=math.sqrt(factor) * one)
    assert chance == pytest.approx(0.8, abs=3e-4)  # three digits of R_B


@pytest.mark.parametrize("drift", [0.0, 1.0, 2.5, 4.0])
def test_chances_are_those_of_the_multivariate_normal(drift):
    times = (0.3, 0.55, 1.0)
    bounds = [boundary(times[: k + 1], 0.05) for k in range(3)]
    roots = np.sqrt(times)
    correlation = np.minimum(*np.meshgrid(roots, roots)) / np.maximum(*np.meshgrid(roots, roots))
    normal = stats.multivariate_normal(drift * roots, correlation, seed=0)
    none = normal.cdf(np.array(bounds))
    assert crossing_chance(times, bounds, drift=drift) == pytest.approx(1 - none, abs=2e-5)
    assert crossing_chance(times, bounds, drift=40.0) == pytest.approx(1.0)


@pytest.mark.parametrize(("times", "alpha"), [(TENTHS, 0.045), (FIFTHS, 0.05), (TENTHS, 1e-4)])
def test_so_many_times_the_examples_give_simulated_paths_the_power(times, alpha):
    rng, runs = np.random.default_rng(1), 40_000
    factor = examples_factor(times, alpha, planned_at=alpha)
    drift = math.sqrt(factor) * (stats.norm.isf(alpha) + stats.norm.ppf(0.8))
    steps = np.diff(times, prepend=0.0)
    paths = np.cumsum(rng.normal(drift * steps, np.sqrt(steps), (runs, len(times))), axis=1)
    bounds = [boundary(times[: k + 1], alpha) for k in range(len(times))]
    shown = np.mean((paths / np.sqrt(times) >= bounds).any(axis=1))
    assert 1 < factor < 1.1
    assert shown == pytest.approx(0.8, abs=4 * math.sqrt(0.8 * 0.2 / runs))


def test_one_look_takes_what_one_test_takes():
    assert examples_factor((1.0,), 0.03, planned_at=0.03) == pytest.approx(1.0)
    limit = parse_limit("max_accuracy_drop", 0.01)
    assert with_looks(300, limit, bounds=None, alpha=0.05) == 300


def test_what_has_bets_leaves_its_looks_less_and_needs_more():
    drop, loss = parse_limit("max_accuracy_drop", 0.01), parse_limit("max_perplexity_ratio", 1.01)
    assert with_looks(3162, drop, bounds=None, alpha=0.05) == 3450
    assert with_looks(3162, loss, bounds=None, alpha=0.05) == 3273
    score = parse_limit("max_score_drop", 0.01)
    bounded, free = (with_looks(3162, score, bounds=one, alpha=0.05) for one in ((0, 1), None))
    assert free == 3273 < bounded < 3450


def test_a_plan_takes_the_level_of_the_side_it_is_planned_for():
    plan = Plan(
        limit=parse_limit("max_accuracy_drop", 0.01),
        levels=levels(0.05, 20),
        assuming=Assumptions(),
    )
    for true, alpha in ((0.0, 0.05), (0.03, 0.0025)):
        expected = with_looks(plan.needed(true), plan.limit, bounds=None, alpha=alpha)
        assert needed_with_looks(plan, true) == expected > plan.needed(true)
    assert needed_with_looks(plan, 0.01) is None


@pytest.mark.parametrize(
    ("losses", "gains", "alpha"), [(60, 40, 0.05), (80, 20, 0.05), (80, 20, 0.001)]
)
def test_an_open_verdict_asks_for_what_looks_take(
    trial, shuffled, make_limit, losses, gains, alpha
):
    share = levels(alpha, 1)
    sides = shuffled(losses, gains, 2000)
    value = (losses - gains) / 2000 + 0.004

    found = trial(value, *sides, levels=share).verdict

    assert found.outcome is Outcome.INCONCLUSIVE
    one = judge(make_limit(value), sides[0], variant=sides[1], levels=share).needed_n
    expected = with_looks(one, make_limit(value), bounds=None, alpha=alpha)
    assert found.needed_n == pytest.approx(expected, rel=0.01)
    assert found.needed_n > one


def test_too_few_examples_to_look_at_ask_for_as_many_as_looks_take(trial, shuffled, make_limit):
    sides = shuffled(12, 8, 250)
    found = trial(0.03, *sides).verdict
    one = judge(make_limit(0.03), sides[0], variant=sides[1], levels=levels(0.05, 1))

    assert replace(found, needed_n=one.needed_n) == one
    assert found.needed_n == with_looks(one.needed_n, make_limit(0.03), bounds=None, alpha=0.05)

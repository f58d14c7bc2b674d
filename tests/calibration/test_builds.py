"""Whole builds of many budgets: how often one is red, or green, that should not be."""

import math

import builds
import numpy as np
import pytest
import table_builds
import tabulation
from builds import ALPHA, AT_THE_LIMIT, ONE_AT_THE_LIMIT, THREE_REGRESSIONS, Stake

BUILDS = 3000
NOISE = 3 * math.sqrt(ALPHA * (1 - ALPHA) / BUILDS)
SMALL = (
    Stake(keyword="max_accuracy_drop", limit=0.05, n=120, flips=0.06),
    Stake(keyword="max_flip_rate", limit=0.04, n=100, flips=0.04),
    Stake(keyword="max_accuracy_drop", limit=0.02, n=150, flips=0.03),
)
"""Budgets whose verdicts are few."""


def small(scenario, correlation, *, m=20, n_builds=BUILDS):
    drawn = builds.simulate(
        SMALL,
        m,
        scenario=scenario,
        correlation=correlation,
        builds=n_builds,
        rng=np.random.default_rng(m),
    )
    return builds.rates(drawn)


@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_builds_at_their_limits_are_seldom_red(correlation):
    found = small(AT_THE_LIMIT, correlation)

    assert 0 < found["red"] <= ALPHA + NOISE
    assert found["green"] <= ALPHA


@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_one_exceeded_limit_is_seldom_green_under_the_strict_gate(correlation):
    found = small(ONE_AT_THE_LIMIT, correlation)

    assert 0 < found["green"] <= ALPHA + NOISE


def test_regressions_turn_builds_red_and_holm_lists_more_of_them():
    found = small(THREE_REGRESSIONS, 0.0, m=5, n_builds=500)

    assert found["red"] > 0.9
    assert 1 < found["fails"] < found["listed"] < 3.1


def test_counts_of_one_budget_are_trinomial_and_correlate_between_budgets():
    stake = Stake(keyword="max_accuracy_drop", limit=0.02, n=2000, flips=0.1)
    drawn = builds.simulate(
        (stake,),
        2,
        scenario=AT_THE_LIMIT,
        correlation=0.5,
        builds=20_000,
        rng=np.random.default_rng(1),
    )

    drops = drawn.losses - drawn.gains
    error = math.sqrt(stake.n * (stake.flips - stake.limit**2))
    assert drops.mean() == pytest.approx(stake.n * stake.limit, abs=0.03 * error)
    assert drops.std() == pytest.approx(error, rel=0.02)
    assert np.corrcoef(drops.T)[0, 1] == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("name", table_builds.PLANNED)
def test_what_families_cost_is_computed(name):
    table = table_builds.TABLES[name]

    for row in tabulation.read(name):
        assert row.found == pytest.approx(table.measure(row.cell, 0, None), rel=1e-6, abs=1e-9)

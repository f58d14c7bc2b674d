import numpy as np
import pytest

from pytest_quantcheck.core.budget import Target
from pytest_quantcheck.core.limit import Bound, Statistic
from pytest_quantcheck.core.verdict import Levels, Outcome, Reason
from pytest_quantcheck.stats.sequential.dataset import growth_of_draws
from pytest_quantcheck.stats.sequential.trial import Plan

DATASET = {"target": Target.DATASET}


@pytest.mark.parametrize("excess", [-1, 0, 1])
def test_all_examples_decide_by_the_figure_alone(trial, shuffled, excess):
    decided = trial(0.05, *shuffled(60 + excess, 10, 1000), **DATASET)
    assert decided.n == 1000
    assert decided.verdict.outcome is (Outcome.FAIL if excess > 0 else Outcome.PASS)
    assert np.isnan(decided.verdict.estimate.low)


@pytest.mark.parametrize(
    ("losses", "gains", "outcome"), [(1000, 20, Outcome.FAIL), (10, 10, Outcome.PASS)]
)
def test_a_clear_set_is_decided_by_a_part_of_it(trial, shuffled, losses, gains, outcome):
    decided = trial(0.02, *shuffled(losses, gains, 5000), **DATASET)
    verdict, estimate = decided.verdict, decided.verdict.estimate
    assert (verdict.outcome, verdict.reason) == (outcome, Reason.ON_THESE_EXAMPLES)
    assert 300 <= decided.n < 2500
    true = (losses - gains) / 5000
    assert estimate.low <= true <= estimate.high
    assert (estimate.low > 0.02) if outcome is Outcome.FAIL else (estimate.high < 0.02)
    assert f"{decided.n:,} of them" in verdict.note


def test_what_no_example_to_come_can_change_needs_no_bet(trial, make_scores, make_limit):
    reference = make_scores(np.ones(1000))
    variant = make_scores(np.repeat([0.0, 1.0], [300, 700]))
    limit = make_limit(0.29, Statistic.FLIPS)
    none = Levels(alpha_pass=1e-200, alpha_fail=1e-200)
    decided = trial(0.29, reference, variant, batch=100, levels=none, limit=limit, **DATASET)
    assert decided.n == 300
    assert decided.verdict.outcome is Outcome.FAIL
    limit = make_limit(0.65, Statistic.VARIANT_LEVEL, bound=Bound.LOWER)
    decided = trial(0.65, reference, variant, batch=100, levels=none, limit=limit, **DATASET)
    assert decided.n == 1000
    assert decided.verdict.outcome is Outcome.PASS


def test_a_set_in_clusters_is_decided_by_whole_clusters(trial, make_scores):
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(500), 4)
    variant = make_scores(1.0 * (rng.random(2000) > 0.3), clusters=clusters)
    reference = make_scores(np.ones(2000), clusters=clusters)
    plan = Plan(n=2000, n_clusters=500, largest_cluster=4)
    decided = trial(0.02, reference, variant, plan=plan, **DATASET)
    assert decided.verdict.outcome is Outcome.FAIL
    assert decided.n < 1000


def test_bets_on_draws_multiply_as_by_hand():
    excesses = np.array([0.5, -0.2, 0.1])
    growth = growth_of_draws(excesses, n_drawn=4, lowest=-1.0, highest=1.0)
    means = [0.0, -0.5 / 3, -0.3 / 2]
    fail = [1 + 0.6 * (e - m) / (m + 1) for e, m in zip(excesses, means, strict=True)]
    towards_pass = [1 - 0.6 * (e - m) / (1 - m) for e, m in zip(excesses, means, strict=True)]
    assert np.exp(growth.towards_fail[2]) == pytest.approx(fail)
    assert np.exp(growth.towards_pass[2]) == pytest.approx(towards_pass)


def test_unbounded_scores_wait_for_all_examples(trial, make_scores):
    rng = np.random.default_rng(0)
    reference = make_scores(rng.normal(size=1000), "score")
    variant = make_scores(reference.values - 5, "score")
    decided = trial(0.1, reference, variant, **DATASET)
    assert decided.n == 1000
    assert decided.verdict.outcome is Outcome.FAIL

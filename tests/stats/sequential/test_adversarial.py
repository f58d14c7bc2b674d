"""Inputs that break careless procedures, under early stopping."""

import time

import numpy as np
import pytest

from pytest_quantcheck.core.limit import Bound, Statistic
from pytest_quantcheck.core.metric import METRICS
from pytest_quantcheck.core.verdict import Levels, Outcome, Reason
from pytest_quantcheck.errors import MeasurementError, UnpairedScoresError, UsageError
from pytest_quantcheck.stats.sequential.schedule import batch_ends
from pytest_quantcheck.stats.sequential.trial import Plan, Trial

EVEN = Levels(alpha_pass=0.05, alpha_fail=0.05)
PERPLEXITY = {"metric": "perplexity"}


def documents(make_scores, differences):
    n = len(differences)
    reference = np.linspace(200.0, 400.0, n)
    weights = np.full(n, 100.0)
    return (
        make_scores(reference, "perplexity", weights=weights),
        make_scores(reference + differences, "perplexity", weights=weights),
    )


def ratio(make_limit, value):
    return make_limit(value, Statistic.LOG_RATIO, **PERPLEXITY)


def test_five_thousand_examples_in_small_batches_cost_under_a_second(make_limit, shuffled, select):
    reference, variant = shuffled(280, 230, 5000)
    plan = Plan(n=5000, n_clusters=None, largest_cluster=1)
    made = Trial(make_limit(0.01), plan=plan, levels=Levels(alpha_pass=0.05, alpha_fail=0.0025))
    started, start = time.process_time(), 0
    for end in batch_ends([1] * 5000, [METRICS["accuracy"]]):
        part = slice(start, end)
        made.update(select(reference, part), select(variant, part))
        start = end
    assert made.verdict.outcome is Outcome.INCONCLUSIVE
    assert time.process_time() - started < 2.0  # 0.2 to 0.7 s on a core of its own


def test_a_million_examples_are_counted_not_sorted_again(make_limit, shuffled, select):
    reference, variant = shuffled(12_000, 2_000, 1_000_000)
    plan = Plan(n=1_000_000, n_clusters=None, largest_cluster=1)
    made = Trial(make_limit(0.0099), plan=plan, levels=EVEN)
    for start in range(0, 1_000_000, 100_000):
        part = slice(start, start + 100_000)
        if made.update(select(reference, part), select(variant, part)):
            break
    assert made.outcome is not Outcome.PASS
    assert made.n >= 100_000


def test_a_lost_document_fails_at_the_first_look(trial, make_scores, make_limit):
    differences = np.zeros(100)
    differences[3] = np.inf
    decided = trial(
        1.01, *documents(make_scores, differences), batch=20, limit=ratio(make_limit, 1.01)
    )
    assert (decided.outcome, decided.n) == (Outcome.FAIL, 20)
    assert decided.verdict.reason is Reason.NON_FINITE


def test_identical_losses_pass_by_rule_with_all_documents_only(trial, make_scores, make_limit):
    decided = trial(
        1.01, *documents(make_scores, np.zeros(100)), batch=20, limit=ratio(make_limit, 1.01)
    )
    assert (decided.outcome, decided.n) == (Outcome.PASS, 100)
    assert decided.verdict.reason is Reason.IDENTICAL_SCORES


def test_one_giant_outlier_blocks_a_pass(trial, make_scores, make_limit):
    differences = np.random.default_rng(0).normal(0, 0.01, 100)
    limit = ratio(make_limit, 1.01)
    assert trial(1.01, *documents(make_scores, differences), batch=20, limit=limit).n < 100
    differences[5] = 500.0
    decided = trial(1.01, *documents(make_scores, differences), batch=20, limit=limit)
    assert decided.outcome is Outcome.INCONCLUSIVE
    assert decided.verdict.reason is Reason.SKEWED_BY_ONE


def test_documents_stop_early_at_a_clear_ratio(trial, make_scores, make_limit):
    differences = np.random.default_rng(0).normal(5.0, 1.0, 200)
    decided = trial(
        1.01, *documents(make_scores, differences), batch=40, limit=ratio(make_limit, 1.01)
    )
    assert (decided.outcome, decided.n) == (Outcome.FAIL, 40)
    assert decided.verdict.estimate.low > 1.01
    assert decided.verdict.estimate.method.endswith("(O'Brien-Fleming spending)")


def test_few_clusters_wait(trial, make_scores):
    # 10 clusters of 100 examples: no early look, and bets need five clusters for PASS
    clusters = np.repeat(np.arange(10), 100)
    rng = np.random.default_rng(0)
    reference = make_scores(np.ones(1000), clusters=clusters)
    variant = make_scores(1.0 * (rng.random(1000) > 0.001), clusters=clusters)
    plan = Plan(n=1000, n_clusters=10, largest_cluster=100)
    decided = trial(0.05, reference, variant, batch=100, plan=plan)
    assert decided.n == 1000
    assert decided.verdict.estimate.n_clusters == 10


def test_a_cliff_in_clusters_is_bet_on_cluster_by_cluster(trial, make_scores):
    clusters = np.repeat(np.arange(500), 4)
    reference = make_scores(np.ones(2000), clusters=clusters)
    variant = make_scores(1.0 * (np.random.default_rng(0).random(2000) > 0.5), clusters=clusters)
    plan = Plan(n=2000, n_clusters=500, largest_cluster=4)
    decided = trial(0.01, reference, variant, batch=60, plan=plan)
    assert (decided.outcome, decided.n) == (Outcome.FAIL, 300)


def test_a_cluster_larger_than_planned_is_refused(make_limit, make_scores):
    plan = Plan(n=1000, n_clusters=500, largest_cluster=2)
    made = Trial(make_limit(0.01), plan=plan, levels=EVEN)
    batch = make_scores(np.ones(6), clusters=[0, 0, 0, 1, 1, 2])
    with pytest.raises(ValueError, match="a cluster of 3 examples came; 2 were planned"):
        made.update(batch, batch)


def test_batches_that_do_not_match_are_errors(make_limit, make_scores):
    plan = Plan(n=1000, n_clusters=None, largest_cluster=1)
    made = Trial(make_limit(0.01), plan=plan, levels=EVEN)
    with pytest.raises(UnpairedScoresError, match="different examples"):
        made.update(make_scores([1, 1], ids=["a", "b"]), make_scores([1, 1], ids=["a", "c"]))
    with pytest.raises(MeasurementError, match="NaN for 'a'"):
        made.update(make_scores([1], ids=["a"]), make_scores([np.nan], ids=["a"]))


def test_a_limit_that_means_nothing_is_an_error(trial, make_scores, make_limit, shuffled):
    scores = make_scores(np.linspace(0, 1, 1000), "score", bounds=(0, 1))
    with pytest.raises(UsageError, match="counts right and wrong"):
        trial(0.1, scores, scores, limit=make_limit(0.1, Statistic.FLIPS)).verdict  # noqa: B018
    with pytest.raises(UsageError, match="no drop lies below"):
        trial(-1.0, *shuffled(1, 1, 1000)).verdict  # noqa: B018 - it raises


def test_a_limit_that_cannot_be_exceeded_passes(trial, shuffled):
    decided = trial(1.0, *shuffled(900, 0, 1000), batch=300)
    assert (decided.outcome, decided.n) == (Outcome.PASS, 300)
    assert decided.verdict.reason is Reason.TRIVIAL_LIMIT


def test_a_reference_without_right_answers_waits_and_is_an_error(trial, make_scores, make_limit):
    wrong = make_scores(np.zeros(1000))
    limit = make_limit(0.9, Statistic.RECOVERY, bound=Bound.LOWER)
    with pytest.raises(MeasurementError, match="nothing to keep"):
        trial(0.9, wrong, wrong, limit=limit)


def test_the_reference_itself_is_tested_early(trial, make_scores, make_limit):
    limit = make_limit(0.6, Statistic.REFERENCE_LEVEL, bound=Bound.LOWER)
    reference = make_scores(np.ones(2000))
    decided = trial(0.6, reference, make_scores(np.zeros(2000)), limit=limit)
    assert decided.outcome is Outcome.PASS
    assert decided.n < 1000


def test_scores_have_bets_where_they_have_bounds(trial, make_scores, make_limit):
    rng = np.random.default_rng(0)
    values = rng.random(1000)
    for bounds, ends in (((0.0, 1.0), "and bets"), (None, "spending)")):
        reference = make_scores(values, "score", bounds=bounds)
        variant = make_scores(values * 0.9, "score", bounds=bounds)
        decided = trial(0.02, reference, variant, limit=make_limit(0.02, metric="score"))
        assert decided.outcome is Outcome.FAIL
        assert decided.verdict.estimate.method.endswith(ends)


def test_a_level_of_unbounded_scores_has_looks_only(trial, make_scores, make_limit):
    values = np.random.default_rng(0).normal(5, 1, 1000)
    limit = make_limit(4.0, Statistic.VARIANT_LEVEL, metric="score", bound=Bound.LOWER)
    scores = make_scores(values, "score")
    decided = trial(4.0, scores, scores, limit=limit)
    assert decided.outcome is Outcome.PASS
    assert decided.n < 1000

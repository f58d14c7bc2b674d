"""Data that break careless tests: ties, no spread, infinities, too little of anything."""

import math

import numpy as np
import pytest

from pytest_quantcheck.core.limit import Bound, Statistic
from pytest_quantcheck.core.verdict import Outcome, Reason
from pytest_quantcheck.errors import MeasurementError

INCONCLUSIVE = Outcome.INCONCLUSIVE
LOG_RATIO = Statistic.LOG_RATIO


def said(found):
    return found.outcome, found.reason


@pytest.mark.parametrize("role", [0, 1])
def test_nan_is_an_error_never_a_verdict(make_scores, verdict, role):
    pair = [make_scores([0.5] * 30, "score") for _ in range(2)]
    pair[role] = make_scores([math.nan, *[0.5] * 29], "score")
    with pytest.raises(MeasurementError, match="is NaN for 'e00000'"):
        verdict(0.1, *pair)


@pytest.mark.parametrize(
    ("statistic", "limit"), [(LOG_RATIO, 1.1), (Statistic.VARIANT_LEVEL, 50.0)]
)
@pytest.mark.parametrize(("clusters", "n_clusters"), [(None, None), (np.arange(30) // 2, 15)])
def test_infinite_loss_fails(make_scores, verdict, statistic, limit, clusters, n_clusters):
    reference = make_scores([2.0] * 30, "perplexity", clusters=clusters)
    values = [2.0] * 23 + [math.inf] * 7
    variant = make_scores(values, "perplexity", clusters=clusters)
    found = verdict(limit, reference, variant, statistic)
    assert said(found) == (Outcome.FAIL, Reason.NON_FINITE)
    assert found.note.startswith("the variant's loss is infinite for 'e00023', 'e00024'")
    assert found.note.endswith("'e00027' and 2 more")
    assert (found.estimate.value, found.estimate.p_fail) == (math.inf, 0.0)
    assert found.estimate.n_clusters == n_clusters


@pytest.mark.parametrize("statistic", [LOG_RATIO, Statistic.REFERENCE_LEVEL])
def test_infinite_reference_is_an_error(make_scores, verdict, statistic):
    infinite = make_scores([2.0, math.inf], "perplexity")
    with pytest.raises(MeasurementError, match="of the reference is infinite for 'e00001'"):
        verdict(1.1, infinite, infinite, statistic)


def test_ratio_beyond_the_largest_number_is_infinite(make_scores, verdict):
    reference, variant = (make_scores([v] * 30, "perplexity") for v in (1.0, 1000.0))
    found = verdict(1.1, reference, variant, LOG_RATIO)
    assert said(found) == (Outcome.FAIL, Reason.CONSTANT_DIFFERENCE)
    assert found.estimate.value == math.inf


@pytest.mark.parametrize(
    ("n", "reason"), [(19, Reason.TOO_FEW_EXAMPLES), (20, Reason.NOT_ENOUGH_EVIDENCE)]
)
def test_few_examples_say_so(make_counts, verdict, n, reason):
    found = verdict(0.05, *make_counts(0, 0, n))
    assert said(found) == (INCONCLUSIVE, reason)
    # 0.95^59 < 0.05
    assert found.needed_n == 59


def test_nineteen_of_nineteen_losses_fail(make_counts, verdict):
    found = verdict(0.05, *make_counts(19, 0, 19))
    assert said(found) == (Outcome.FAIL, Reason.SHOWN_OVER)
    # ((1 + 0.05) / 2)^19 = 4.8e-6, and the error of 1e-5 spent on the rate of flips
    assert found.estimate.p_fail == pytest.approx(1.48e-5, abs=1e-7)
    assert found.estimate.high == 1.0


def test_one_flip_in_one_example_does_not_fail(make_counts, verdict):
    found = verdict(0.01, *make_counts(1, 0, 1), Statistic.FLIPS)
    assert found.estimate.p_fail == pytest.approx(0.01)
    assert said(found) == (INCONCLUSIVE, Reason.TOO_FEW_EXAMPLES)


@pytest.mark.parametrize("statistic", [Statistic.DROP, LOG_RATIO])
def test_four_clusters_block_pass(make_scores, verdict, statistic):
    clusters = np.arange(400) // 100
    metric = "perplexity" if statistic is LOG_RATIO else "accuracy"
    reference = make_scores(np.ones(400), metric, clusters=clusters)
    limit = 3.0 if statistic is LOG_RATIO else 0.3
    found = verdict(limit, reference, reference, statistic)
    assert said(found) == (INCONCLUSIVE, Reason.TOO_FEW_CLUSTERS)


def test_one_cluster_is_inconclusive_and_cannot_be_planned(make_scores, verdict):
    clusters = np.zeros(40)
    values = np.linspace(0, 1, 40)
    reference, variant = (
        make_scores(v, "perplexity", clusters=clusters) for v in (values, values + values**2)
    )
    found = verdict(1.5, reference, variant, LOG_RATIO)
    assert found.outcome is INCONCLUSIVE
    assert found.needed_n is None


@pytest.mark.parametrize(
    ("n", "outcome", "p_pass"),
    # 0.99^270 = .0663, 0.99^300 = .0490
    [(270, INCONCLUSIVE, 0.0663), (300, Outcome.PASS, 0.0490)],
)
def test_ties_of_right_answers_follow_the_closed_form(make_counts, verdict, n, outcome, p_pass):
    found = verdict(0.01, *make_counts(0, 0, n))
    assert found.outcome is outcome
    assert found.estimate.p_pass == pytest.approx(p_pass, abs=1e-4)
    assert found.estimate.low < 0 < found.estimate.high
    assert found.needed_n == (299 if outcome is INCONCLUSIVE else None)


def test_ties_at_a_limit_of_zero_are_told_so(make_counts, verdict):
    found = verdict(0.0, *make_counts(0, 0, 500))
    assert said(found) == (INCONCLUSIVE, Reason.ZERO_LIMIT)
    assert found.estimate.p_pass == 1.0
    assert found.needed_n is None
    assert "can't be shown" in found.note


@pytest.mark.parametrize("statistic", [Statistic.FLIPS, Statistic.VARIANT_LEVEL])
def test_perfect_share_at_an_impossible_limit_is_told_so(make_counts, verdict, statistic):
    is_level = statistic is Statistic.VARIANT_LEVEL
    bound = Bound.LOWER if is_level else Bound.UPPER
    found = verdict(float(is_level), *make_counts(0, 0, 500), statistic, bound=bound)
    assert said(found) == (INCONCLUSIVE, Reason.ZERO_LIMIT)
    assert found.needed_n is None
    worse = verdict(float(is_level), *make_counts(3, 0, 500), statistic, bound=bound)
    assert worse.outcome is Outcome.FAIL


@pytest.mark.parametrize("better", [False, True])
def test_shares_are_planned(make_counts, verdict, better):
    found = verdict(0.05 if better else 0.01, *make_counts(1, 1, 60), Statistic.FLIPS)
    assert found.outcome is INCONCLUSIVE
    assert found.needed_n > 60


def test_share_at_the_limit_cannot_be_planned(make_counts, verdict):
    assert verdict(0.05, *make_counts(2, 3, 100), Statistic.FLIPS).needed_n is None


def test_drop_at_the_limit_cannot_be_planned(make_counts, verdict):
    assert verdict(0.01, *make_counts(4, 3, 100)).needed_n is None


@pytest.mark.parametrize("limit", [1.0, 1.5])
@pytest.mark.parametrize("clusters", [None, np.arange(30) // 2])
def test_limit_that_no_data_exceed_passes(make_counts, verdict, limit, clusters):
    pair = make_counts(30, 0, 30, clusters=clusters)
    for statistic in (Statistic.DROP, Statistic.FLIPS):
        found = verdict(limit, *pair, statistic)
        assert said(found) == (Outcome.PASS, Reason.TRIVIAL_LIMIT)
        assert (found.estimate.p_pass, found.estimate.p_fail) == (0.0, 1.0)


def test_floor_that_no_data_undercut_passes(make_counts, verdict):
    found = verdict(0.0, *make_counts(3, 0, 30), Statistic.VARIANT_LEVEL, bound=Bound.LOWER)
    assert said(found) == (Outcome.PASS, Reason.TRIVIAL_LIMIT)


def test_trivial_limit_of_bounded_scores_passes(make_scores, verdict):
    reference, variant = (make_scores(np.full(30, v), "score", bounds=(0, 2)) for v in (2.0, 0.0))
    found = verdict(2.0, reference, variant)
    assert said(found) == (Outcome.PASS, Reason.TRIVIAL_LIMIT)
    assert found.estimate.high == 2.0


@pytest.mark.parametrize(("n", "outcome"), [(58, INCONCLUSIVE), (59, Outcome.PASS)])
def test_ties_of_bounded_scores_follow_the_closed_form(make_scores, verdict, n, outcome):
    # 0.95 to the power of 59 is .0485, of 58 it is .0511
    scores = make_scores(np.full(n, 0.7), "score", bounds=(0, 2))
    found = verdict(0.1, scores, scores)
    assert found.outcome is outcome
    assert found.estimate.p_pass == pytest.approx(0.95**n)
    assert found.estimate.p_fail == 1.0
    assert found.needed_n == (59 if outcome is INCONCLUSIVE else None)


def test_ties_of_bounded_scores_at_zero_are_told_so(make_scores, verdict):
    scores = make_scores(np.full(100, 0.7), "score", bounds=(0, 2))
    found = verdict(0.0, scores, scores)
    assert said(found) == (INCONCLUSIVE, Reason.ZERO_LIMIT)
    assert found.needed_n is None


def test_ties_in_unequal_clusters_are_decided_by_bets(make_scores, verdict):
    clusters = np.repeat(np.arange(30), [1, 3] * 15)
    scores = make_scores(np.full(60, 0.7), "score", bounds=(0, 1), clusters=clusters)
    found = verdict(0.3, scores, scores)
    assert found.estimate.method.startswith("betting")
    assert found.outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("n", "limit", "outcome", "reason"),
    [
        (20, 1.01, Outcome.PASS, Reason.IDENTICAL_SCORES),
        (19, 1.01, INCONCLUSIVE, Reason.TOO_FEW_EXAMPLES),
        (20, 1.0, INCONCLUSIVE, Reason.ZERO_LIMIT),
        (20, 0.99, INCONCLUSIVE, Reason.ZERO_LIMIT),
    ],
)
def test_identical_losses_follow_a_rule(make_scores, verdict, n, limit, outcome, reason):
    scores = make_scores(np.linspace(1, 2, n), "perplexity")
    found = verdict(limit, scores, scores, LOG_RATIO)
    assert said(found) == (outcome, reason)
    # never an interval of width 0 for want of data
    assert (found.estimate.low, found.estimate.value, found.estimate.high) == (0, 1, math.inf)
    assert (found.estimate.p_pass, found.estimate.p_fail) == (1.0, 1.0)
    assert found.needed_n is None


@pytest.mark.parametrize(
    ("n", "limit", "outcome", "reason"),
    [
        (20, 0.3, Outcome.PASS, Reason.CONSTANT_DIFFERENCE),
        (20, 0.2, Outcome.FAIL, Reason.CONSTANT_DIFFERENCE),
        (19, 0.2, INCONCLUSIVE, Reason.TOO_FEW_EXAMPLES),
    ],
)
def test_constant_difference_of_unbounded_scores_follows_a_rule(
    make_scores, verdict, n, limit, outcome, reason
):
    reference = np.linspace(1, 2, n)
    pair = [make_scores(v, "score") for v in (reference, reference - 0.25)]
    assert said(verdict(limit, *pair)) == (outcome, reason)


def test_constant_score_of_zero_follows_the_rule_of_levels(make_scores, verdict):
    scores = make_scores(np.zeros(30), "score")
    found = verdict(0.5, scores, scores, Statistic.VARIANT_LEVEL, bound=Bound.LOWER)
    assert said(found) == (Outcome.FAIL, Reason.CONSTANT_DIFFERENCE)
    found = verdict(-0.5, scores, scores, Statistic.VARIANT_LEVEL, bound=Bound.LOWER)
    assert said(found) == (Outcome.PASS, Reason.CONSTANT_DIFFERENCE)


def test_constant_difference_of_bounded_scores_is_decided_by_bets(make_scores, verdict):
    pair = [make_scores(np.full(200, v), "score", bounds=(0, 1)) for v in (0.9, 0.6)]
    passing, failing = verdict(0.5, *pair), verdict(0.1, *pair)
    assert said(passing) == (Outcome.PASS, Reason.SHOWN_WITHIN)
    assert said(failing) == (Outcome.FAIL, Reason.SHOWN_OVER)
    assert passing.estimate.method.startswith("betting")


@pytest.mark.parametrize(("limit", "can_plan"), [(0.5, True), (0.25, False)])
def test_bets_are_planned_unless_the_estimate_sits_at_the_limit(
    make_scores, verdict, limit, can_plan
):
    pair = [make_scores(np.full(20, v), "score", bounds=(0, 2)) for v in (0.75, 0.5)]
    found = verdict(limit, *pair)
    assert found.outcome is INCONCLUSIVE
    assert (found.needed_n is not None) is can_plan


def test_few_differences_of_unbounded_scores_are_inconclusive(make_scores, verdict):
    reference = np.linspace(0, 1, 400)
    variant = reference.copy()
    variant[:19] -= np.linspace(0.1, 0.2, 19)
    found = verdict(0.5, make_scores(reference, "score"), make_scores(variant, "score"))
    assert said(found) == (INCONCLUSIVE, Reason.FEW_NONZERO_DIFFERENCES)
    assert (found.estimate.low, found.estimate.high) == (-math.inf, math.inf)


def test_one_giant_outlier_is_noted(make_scores, verdict):
    reference = np.zeros(100)
    variant = 0.001 * np.sin(np.arange(100) + 1)
    variant[50] = -40.0
    found = verdict(0.3, make_scores(reference, "score"), make_scores(variant, "score"))
    assert said(found) == (INCONCLUSIVE, Reason.SKEWED_BY_ONE)
    assert found.note == "one example or cluster carries 99.8 % of all differences"
    assert found.needed_n > 100


def test_improvement_can_be_required(make_counts, verdict):
    assert verdict(-0.02, *make_counts(2, 40, 300)).outcome is Outcome.PASS
    assert verdict(-0.02, *make_counts(40, 2, 300)).outcome is Outcome.FAIL


def test_all_ties_do_not_show_a_required_improvement(make_counts, verdict):
    # an improvement of 1 pp at least leaves no flip in 500 the chance 0.99^500, and a few results
    # with as many losses as gains count too
    found = verdict(-0.01, *make_counts(0, 0, 500))
    assert found.outcome is Outcome.FAIL
    assert 0.99**500 < found.estimate.p_fail < 0.01


def test_tiny_family_level_is_still_exact(make_counts, verdict):
    found = verdict(0.05, *make_counts(0, 0, 500), alpha=1e-7)
    assert found.outcome is Outcome.PASS
    assert found.estimate.p_pass == pytest.approx(0.95**500 + 1e-9, rel=1e-3)

"""Every kind of input that breaks careless procedures has its tests; what was lacking is here."""

import math

import numpy as np
import pytest
from places import exists

from pytest_quantcheck.core.quantity import format_pvalue
from pytest_quantcheck.core.verdict import Outcome, Reason

ROWS = {
    "NaN in either score": [
        "stats/test_degenerate.py::test_nan_is_an_error_never_a_verdict",
        "stats/test_paired.py::test_nan_is_refused_with_the_first_five_ids",
    ],
    "infinite loss of the variant, or of the reference": [
        "stats/test_degenerate.py::test_infinite_loss_fails",
        "stats/test_degenerate.py::test_infinite_reference_is_an_error",
    ],
    "other or repeated ids, repeated examples": [
        "stats/test_paired.py::test_other_examples_are_named_on_both_sides",
        "stats/test_paired.py::test_missing_examples_are_named_on_one_side",
        "stats/test_paired.py::test_repeated_ids_are_refused",
        "plugin/test_cautions.py::test_repeated_examples_are_said_once",
    ],
    "no examples, or fewer than 20": [
        "stats/test_paired.py::test_no_examples_are_refused",
        "stats/test_degenerate.py::test_few_examples_say_so",
        "stats/test_degenerate.py::test_nineteen_of_nineteen_losses_fail",
        "stats/test_degenerate.py::test_one_flip_in_one_example_does_not_fail",
        "stats/test_decide.py::test_fail_below_twenty_examples_needs_five_losses",
    ],
    "fewer than 5 clusters": [
        "stats/test_degenerate.py::test_four_clusters_block_pass",
        "stats/test_decide.py::test_fail_is_allowed_with_few_clusters",
        "stats/sequential/test_adversarial.py::test_few_clusters_wait",
    ],
    "all ties, right or wrong": [
        "stats/test_degenerate.py::test_ties_of_right_answers_follow_the_closed_form",
        "stats/test_degenerate.py::test_ties_at_a_limit_of_zero_are_told_so",
        "stats/sequential/test_trial.py::test_all_ties_pass_early_and_never_fail",
    ],
    "all ties, bounded scores": [
        "stats/test_degenerate.py::test_ties_of_bounded_scores_follow_the_closed_form",
    ],
    "all ties, unbounded": [
        "stats/test_degenerate.py::test_identical_losses_follow_a_rule",
        "stats/sequential/test_adversarial.py::"
        "test_identical_losses_pass_by_rule_with_all_documents_only",
    ],
    "constant difference": [
        "stats/test_degenerate.py::test_constant_difference_of_unbounded_scores_follows_a_rule",
        "stats/test_degenerate.py::test_constant_difference_of_bounded_scores_is_decided_by_bets",
    ],
    "variance underflow": [
        "stats/test_ratio_mean.py::test_rounding_is_no_spread",
        "stats/test_adversarial_rows.py::test_rounding_is_decided_as_a_constant",
    ],
    "one giant outlier": [
        "stats/test_degenerate.py::test_one_giant_outlier_is_noted",
        "stats/test_decide.py::test_one_example_that_outweighs_the_rest_is_noted",
        "stats/test_skewed_mean.py::test_pass_takes_more_examples_the_skewer_they_are",
        "stats/sequential/test_adversarial.py::test_one_giant_outlier_blocks_a_pass",
    ],
    "all lost": [
        "stats/test_adversarial_rows.py::test_all_lost_fails_with_an_interval_up_to_all",
        "stats/test_binary.py::test_interval_of_a_total_change_ends_at_one",
        "stats/test_recovery.py::test_where_all_is_lost_there_is_an_interval",
    ],
    "a million examples": [
        "stats/test_binary.py::test_million_examples_are_quick_and_finite",
        "stats/test_cost.py::test_a_verdict_takes_no_longer_than_promised",
        "stats/test_adversarial_rows.py::test_bets_on_many_scores_do_not_overflow",
        "stats/test_adversarial_rows.py::test_a_p_value_below_all_numbers_is_shown_as_such",
        "stats/sequential/test_adversarial.py::"
        "test_a_million_examples_are_counted_not_sorted_again",
    ],
    "a limit below 0, of 1 and more, or NaN": [
        "stats/test_degenerate.py::test_improvement_can_be_required",
        "stats/test_degenerate.py::test_all_ties_do_not_show_a_required_improvement",
        "stats/test_degenerate.py::test_limit_that_no_data_exceed_passes",
        "stats/test_procedures.py::test_limits_without_meaning_are_refused",
        "stats/sequential/test_adversarial.py::test_a_limit_that_cannot_be_exceeded_passes",
    ],
    "a divergence below 0": [
        "stats/test_divergence.py::test_impossible_values_are_refused",
    ],
    "a level below a millionth": [
        "stats/test_degenerate.py::test_tiny_family_level_is_still_exact",
        "stats/test_binary.py::test_gamma_shrinks_with_alpha",
        "plugin/test_cautions.py::test_a_family_in_which_nothing_can_fail_is_said",
    ],
    "examples after the decision": [
        "stats/sequential/test_trial.py::test_examples_after_the_decision_change_nothing",
    ],
}
"""What may come, and the tests of what becomes of it."""


@pytest.mark.parametrize("row", ROWS)
def test_every_row_has_its_tests(row):
    assert ROWS[row]
    assert [place for place in ROWS[row] if not exists(place)] == []


def test_rounding_is_decided_as_a_constant(make_scores, verdict):
    rounding = 1e-15 * np.arange(30)
    pair = [make_scores(v, "score") for v in (np.full(30, 0.75), 0.5 + rounding)]
    found = [verdict(limit, *pair) for limit in (0.3, 0.2)]
    assert [v.outcome for v in found] == [Outcome.PASS, Outcome.FAIL]
    assert {v.reason for v in found} == {Reason.CONSTANT_DIFFERENCE}


@pytest.mark.parametrize("clusters", [None, np.arange(200) // 4])
def test_all_lost_fails_with_an_interval_up_to_all(make_counts, verdict, clusters):
    found = verdict(0.5, *make_counts(200, 0, 200, clusters=clusters))
    assert (found.outcome, found.reason) == (Outcome.FAIL, Reason.SHOWN_OVER)
    assert (found.estimate.value, found.estimate.high) == (1.0, 1.0)
    assert found.estimate.low < 1


def test_bets_on_many_scores_do_not_overflow(make_scores, verdict):
    n = 200_000
    variant = np.full(n, 0.5)
    variant[:10] = 0.25
    pair = [make_scores(v, "score", bounds=(0, 1)) for v in (np.full(n, 0.5), variant)]
    found = verdict(0.5, *pair)
    # the capital is about 2^200,000, far beyond the largest number; its logarithm is not
    assert (found.outcome, found.estimate.p_pass, found.estimate.p_fail) == (Outcome.PASS, 0.0, 1.0)
    assert math.isfinite(found.estimate.low + found.estimate.high)


@pytest.mark.parametrize(("p", "shown"), [(0.0, "<1e-300"), (1e-301, "<1e-300"), (1e-9, "1e-09")])
def test_a_p_value_below_all_numbers_is_shown_as_such(p, shown):
    assert format_pvalue(p) == shown

"""From p-values, or the want of a test, to outcome and reason."""

import math

import pytest

from pytest_quantcheck.core.verdict import Estimate, Outcome, Reason
from pytest_quantcheck.stats.decide import Evidence, decide
from pytest_quantcheck.stats.family import levels


def evidence(p_pass=0.5, p_fail=0.5, *, n=100, n_clusters=None, **kwargs):
    estimate = Estimate(
        value=0.0,
        low=-1.0,
        high=1.0,
        confidence_level=0.9,
        p_pass=p_pass,
        p_fail=p_fail,
        n=n,
        n_clusters=n_clusters,
        method="a test",
    )
    facts = {"degradation": 0.0, "allowed": 0.01, "losses": 0} | kwargs
    return Evidence(estimate=estimate, **facts)


def decided(found):
    verdict = decide(found, levels=levels(0.05, 5))
    return verdict.outcome, verdict.reason


@pytest.mark.parametrize(
    ("p_pass", "p_fail", "outcome", "reason"),
    [
        (0.05, 1.0, Outcome.PASS, Reason.SHOWN_WITHIN),
        (0.0501, 1.0, Outcome.INCONCLUSIVE, Reason.NOT_ENOUGH_EVIDENCE),
        (1.0, 0.01, Outcome.FAIL, Reason.SHOWN_OVER),
        (1.0, 0.0101, Outcome.INCONCLUSIVE, Reason.NOT_ENOUGH_EVIDENCE),
    ],
)
def test_p_value_up_to_the_level_decides(p_pass, p_fail, outcome, reason):
    assert decided(evidence(p_pass, p_fail)) == (outcome, reason)


def test_contradicting_p_values_are_an_error():
    with pytest.raises(ValueError, match="both tests reject, which valid p-values cannot"):
        decided(evidence(0.01, 0.01))


@pytest.mark.parametrize(
    ("n", "losses", "outcome", "reason"),
    [
        (20, 0, Outcome.FAIL, Reason.SHOWN_OVER),
        (19, 5, Outcome.FAIL, Reason.SHOWN_OVER),
        (19, 4, Outcome.INCONCLUSIVE, Reason.TOO_FEW_EXAMPLES),
    ],
)
def test_fail_below_twenty_examples_needs_five_losses(n, losses, outcome, reason):
    assert decided(evidence(1.0, 1e-6, n=n, losses=losses)) == (outcome, reason)


def test_pass_needs_twenty_examples():
    verdict = decide(evidence(1e-6, 1.0, n=19), levels=levels(0.05, 1))
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, Reason.TOO_FEW_EXAMPLES)
    assert verdict.note == "PASS needs 20 examples, there are 19"


def test_pass_needs_five_clusters():
    verdict = decide(evidence(1e-6, 1.0, n_clusters=4), levels=levels(0.05, 1))
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, Reason.TOO_FEW_CLUSTERS)
    assert verdict.note == "PASS needs 5 clusters, there are 4"


def test_fail_is_allowed_with_few_clusters():
    assert decided(evidence(1.0, 1e-6, n_clusters=4))[0] is Outcome.FAIL


@pytest.mark.parametrize(
    ("n_clusters", "note"), [(5, "there are 5 clusters only: expect a wide interval"), (10, "")]
)
def test_few_clusters_are_noted(n_clusters, note):
    assert decide(evidence(n_clusters=n_clusters), levels=levels(0.05, 1)).note == note


def test_limit_of_no_degradation_has_its_own_reason():
    verdict = decide(evidence(allows_nothing=True), levels=levels(0.05, 1))
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, Reason.ZERO_LIMIT)
    assert "can't be shown by any number of examples" in verdict.note


def test_limit_of_no_degradation_still_passes_what_is_better():
    assert decided(evidence(1e-6, allows_nothing=True))[0] is Outcome.PASS


@pytest.mark.parametrize(
    ("p_pass", "p_fail", "outcome", "reason"),
    [
        (0.5, 0.5, Outcome.INCONCLUSIVE, Reason.SKEWED_BY_ONE),
        (0.01, 1.0, Outcome.PASS, Reason.SHOWN_WITHIN),
        (1.0, 0.001, Outcome.FAIL, Reason.SHOWN_OVER),
    ],
)
def test_one_example_that_outweighs_the_rest_is_noted(p_pass, p_fail, outcome, reason):
    verdict = decide(evidence(p_pass, p_fail, largest_share=0.62), levels=levels(0.05, 1))
    assert (verdict.outcome, verdict.reason) == (outcome, reason)
    assert verdict.note == "one example or cluster carries 62.0 % of all differences"


@pytest.mark.parametrize(
    ("untested", "outcome"),
    [
        (Reason.NON_FINITE, Outcome.FAIL),
        (Reason.TRIVIAL_LIMIT, Outcome.PASS),
        (Reason.FEW_NONZERO_DIFFERENCES, Outcome.INCONCLUSIVE),
        (Reason.EXACT, Outcome.PASS),
        (Reason.IDENTICAL_SCORES, Outcome.PASS),
        (Reason.CONSTANT_DIFFERENCE, Outcome.PASS),
    ],
)
def test_rule_decides_where_no_test_applies(untested, outcome):
    assert decided(evidence(1.0, 1.0, untested=untested)) == (outcome, untested)


@pytest.mark.parametrize("untested", [Reason.EXACT, Reason.CONSTANT_DIFFERENCE])
@pytest.mark.parametrize(("degradation", "outcome"), [(0.01, Outcome.PASS), (0.011, Outcome.FAIL)])
def test_equal_to_the_limit_is_within(untested, degradation, outcome):
    assert decided(evidence(untested=untested, degradation=degradation))[0] is outcome


@pytest.mark.parametrize("untested", [Reason.IDENTICAL_SCORES, Reason.CONSTANT_DIFFERENCE])
def test_rules_need_as_many_examples_and_clusters_as_tests(untested):
    assert decided(evidence(n=19, untested=untested))[1] is Reason.TOO_FEW_EXAMPLES
    assert decided(evidence(n_clusters=4, untested=untested))[1] is Reason.TOO_FEW_CLUSTERS


@pytest.mark.parametrize("allowed", [0.0, -0.1])
def test_identical_scores_show_no_improvement(allowed):
    found = evidence(untested=Reason.IDENTICAL_SCORES, allowed=allowed)
    assert decided(found) == (Outcome.INCONCLUSIVE, Reason.ZERO_LIMIT)


def test_plan_is_asked_only_if_inconclusive():
    assert decide(evidence(plan=lambda: 412), levels=levels(0.05, 1)).needed_n == 412
    assert decide(evidence(0.01, plan=lambda: 412), levels=levels(0.05, 1)).needed_n is None


def test_note_of_the_procedure_comes_first():
    found = evidence(degradation=math.inf, untested=Reason.NON_FINITE, note="it overflowed")
    assert decide(found, levels=levels(0.05, 1)).note == "it overflowed"

import numpy as np
import pytest

from pytest_quantcheck.core.budget import Target
from pytest_quantcheck.core.limit import Statistic
from pytest_quantcheck.core.verdict import Levels, Outcome, Reason
from pytest_quantcheck.stats.procedures import judge
from pytest_quantcheck.stats.sequential.trial import Plan, Trial, can_stop

EVEN = Levels(alpha_pass=0.05, alpha_fail=0.05)


def test_a_cliff_is_a_fail_at_the_first_chance(trial, shuffled):
    decided = trial(0.01, *shuffled(1500, 0, 5000), batch=60)
    verdict = decided.verdict
    assert (verdict.outcome, verdict.reason) == (Outcome.FAIL, Reason.SHOWN_OVER)
    assert decided.n == verdict.estimate.n == 300
    assert verdict.estimate.low > 0.01
    assert verdict.estimate.p_fail < 1e-6


def test_a_lossless_variant_passes_early(trial, shuffled):
    decided = trial(0.01, *shuffled(2, 2, 5000))
    assert decided.verdict.outcome is Outcome.PASS
    assert 300 <= decided.n < 2500
    assert decided.verdict.estimate.high < 0.01


def test_all_ties_pass_early_and_never_fail(trial, shuffled):
    decided = trial(0.01, *shuffled(0, 0, 5000))
    assert decided.verdict.outcome is Outcome.PASS
    assert 300 < decided.n <= 1024
    assert trial(0.0, *shuffled(0, 0, 2000)).verdict.reason is Reason.ZERO_LIMIT


def test_what_is_not_shown_is_inconclusive_with_all_examples(trial, shuffled):
    decided = trial(0.01, *shuffled(70, 40, 2000))
    verdict = decided.verdict
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert decided.n == 2000
    assert verdict.estimate.low < 0.01 < verdict.estimate.high
    assert verdict.needed_n > 2000
    assert verdict.estimate.p_fail > 0.05
    assert verdict.levels == EVEN


def test_examples_after_the_decision_change_nothing(trial, shuffled):
    reference, variant = shuffled(1500, 0, 5000)
    decided = trial(0.01, reference, variant)
    before, n = decided.verdict, decided.n
    assert decided.update(variant, reference)
    decided.close()
    assert (decided.verdict, decided.n) == (before, n)


def test_nothing_is_decided_before_300_examples(make_limit, shuffled, select):
    reference, variant = shuffled(2000, 0, 2000)
    plan = Plan(n=2000, n_clusters=None, largest_cluster=1)
    made = Trial(make_limit(0.01), plan=plan, levels=EVEN)
    for start in range(0, 299, 13):
        part = slice(start, start + 13)
        assert made.update(select(reference, part), select(variant, part)) is (start + 13 >= 300)


def test_order_within_a_batch_changes_nothing(trial, shuffled, make_scores):
    reference, variant = shuffled(90, 20, 2560)
    order = np.concatenate([np.arange(64)[::-1] + 64 * k for k in range(40)])
    mirrored = [
        make_scores(scores.values[order], ids=[scores.ids[i] for i in order])
        for scores in (reference, variant)
    ]
    assert trial(0.02, reference, variant).verdict == trial(0.02, *mirrored).verdict


def test_few_examples_are_judged_once_at_the_plain_levels(trial, make_limit, shuffled):
    reference, variant = shuffled(20, 1, 300)
    whole = judge(make_limit(0.01), reference, variant=variant, levels=EVEN)
    decided = trial(0.01, reference, variant, batch=100).verdict
    assert decided.estimate == whole.estimate
    assert decided.outcome is whole.outcome


def test_a_budget_that_gets_fewer_examples_than_planned_is_decided_when_closed(
    make_limit, shuffled
):
    plan = Plan(n=2000, n_clusters=None, largest_cluster=1)
    made = Trial(make_limit(0.01), plan=plan, levels=EVEN)
    assert not made.update(*shuffled(3, 3, 400))
    made.close()
    assert made.n == 400
    assert made.verdict.outcome is Outcome.INCONCLUSIVE


def test_an_empty_batch_of_a_slice_is_no_news(make_limit, shuffled, make_scores):
    plan = Plan(n=1000, n_clusters=None, largest_cluster=1)
    made = Trial(make_limit(0.01), plan=plan, levels=EVEN)
    assert not made.update(make_scores([]), make_scores([]))
    assert made.update(*shuffled(1000, 0, 1000))


@pytest.mark.parametrize(
    ("statistic", "metric", "target", "expected"),
    [
        (Statistic.DROP, "accuracy", Target.POPULATION, True),
        (Statistic.LOG_RATIO, "perplexity", Target.POPULATION, True),
        (Statistic.LOG_RATIO, "perplexity", Target.DATASET, False),
        (Statistic.FLIPS, None, Target.DATASET, True),
        (Statistic.WEIGHT_RATIO, None, Target.POPULATION, False),
    ],
)
def test_only_what_has_a_sequential_form_can_stop(make_limit, statistic, metric, target, expected):
    assert can_stop(make_limit(0.01, statistic, metric=metric), target) is expected

"""How much of the reference's level is kept: exact for right and wrong, guarded for scores."""

import math

import numpy as np
import pytest
from scipy import stats

from pytest_quantcheck.core.grammar import parse_limit
from pytest_quantcheck.core.limit import Bound, Statistic
from pytest_quantcheck.core.verdict import Outcome, Reason
from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.paired import align
from pytest_quantcheck.stats.procedures import judge
from pytest_quantcheck.stats.recovery import _question
from pytest_quantcheck.stats.tango import PairedCounts, score_z, tango_interval

PAIRS_OF_TWO = np.arange(400) // 2


@pytest.fixture
def recovery(verdict):
    def judged(value, reference, variant):
        return verdict(value, reference, variant, Statistic.RECOVERY, bound=Bound.LOWER)

    return judged


def test_one_is_a_drop_of_nothing(make_counts, recovery, verdict):
    pair = make_counts(40, 3, 400)

    kept, drop = recovery(1.0, *pair), verdict(0.0, *pair)

    assert kept.outcome is drop.outcome is Outcome.FAIL
    assert kept.estimate.p_fail == pytest.approx(drop.estimate.p_fail, rel=1e-3)


def test_estimate_and_interval_are_ratios(make_counts, recovery):
    found = recovery(0.9, *make_counts(20, 4, 400)).estimate

    assert found.value == pytest.approx((400 - 20) / (400 - 4))
    assert found.low < found.value < found.high < 1.01
    assert (found.n, found.counts["losses"], found.counts["gains"]) == (400, 20, 4)


def test_the_interval_inverts_the_tests(make_counts, recovery):
    pair = make_counts(20, 4, 400)
    found = recovery(0.9, *pair).estimate

    assert recovery(found.low - 1e-3, *pair).outcome is Outcome.PASS
    assert recovery(found.low + 1e-3, *pair).outcome is not Outcome.PASS
    assert recovery(min(1, found.high + 1e-3), *pair).outcome is Outcome.FAIL
    assert recovery(found.high - 1e-3, *pair).outcome is not Outcome.FAIL


def test_the_statistic_is_that_of_nam_and_blackwelder():
    # Z = (variant - r·reference) / sqrt(n r (p10 + p01)) with the restricted estimates of
    # Nam, Blackwelder (2002), found here by maximizing the likelihood numerically.
    both, losses, gains, r = 60, 9, 2, 0.9
    n = both + losses + gains
    grid = np.linspace(1e-9, r / (1 + r) - 1e-9, 400_001)
    log_likelihood = (
        losses * np.log((1 - r) + r * grid) + gains * np.log(grid)
        + both * np.log(r - (1 + r) * grid)
    )  # fmt: skip
    q = grid[np.argmax(log_likelihood)]
    expected = (r * (both + losses) - both - gains) / math.sqrt(n * r * ((1 - r) + (1 + r) * q))

    z = score_z(losses, gains, n=n, limit=1 - r, gain_weight=r)

    assert float(z) == pytest.approx(expected, abs=1e-4)


def test_exchanging_the_sides_inverts_the_ratio():
    counts = PairedCounts(losses=9, gains=2, n=71, is_relative=True)
    there, back = 1 - counts.drop, 1 - counts.swap().drop
    assert there == pytest.approx(1 / back)
    assert counts.opposite(counts.drop) == pytest.approx(counts.swap().drop)
    assert PairedCounts(losses=0, gains=5, n=5, is_relative=True).drop == -math.inf


@pytest.mark.parametrize(("n", "outcome"), [(298, Outcome.INCONCLUSIVE), (300, Outcome.PASS)])
def test_no_loss_passes_only_where_one_would_have_been_seen(make_counts, recovery, n, outcome):
    # .99^n must be below .05, whatever the variance of nothing is
    assert recovery(0.99, *make_counts(0, 0, n)).outcome is outcome


def test_examples_wrong_in_both_carry_no_evidence(make_scores, recovery):
    right = make_scores([1.0] * 200 + [0.0] * 4000)

    found = recovery(0.99, right, right)

    assert found.outcome is Outcome.INCONCLUSIVE
    assert found.needed_n > 6000


def test_losses_in_clusters_weigh_less(make_counts, recovery):
    alone = recovery(0.95, *make_counts(5, 0, 400))
    grouped = recovery(0.95, *make_counts(5, 0, 400, clusters=PAIRS_OF_TWO))

    assert grouped.estimate.n_clusters == 200
    assert "design effect" in grouped.estimate.method
    assert grouped.estimate.low < alone.estimate.low
    assert grouped.estimate.p_pass > alone.estimate.p_pass


@pytest.mark.parametrize("clusters", [None, PAIRS_OF_TWO])
def test_the_gross_loss_of_a_low_limit_is_the_loss_of_all(make_counts, clusters):
    # Three times the allowed loss of 35 % is more than there is.
    limit = parse_limit("min_accuracy_recovery", 0.65)
    pair = make_counts(5, 0, 400, clusters=clusters)
    found = judge(limit, pair[0], variant=pair[1], levels=levels(0.05, 20))
    assert found.power_at == 0.0
    assert found.power == pytest.approx(1.0)


def test_scores_are_a_linear_contrast(make_scores, recovery):
    rng = np.random.default_rng(4)
    reference = rng.uniform(0.5, 1, 100)
    variant = reference * rng.uniform(0.9, 1.0, 100)
    found = recovery(0.9, *(make_scores(v, "score", bounds=(0, 1)) for v in (reference, variant)))

    oracle = stats.ttest_1samp(0.9 * reference - variant, 0, alternative="less")
    assert found.outcome is Outcome.PASS
    assert found.estimate.p_pass == pytest.approx(oracle.pvalue, rel=1e-9)
    assert found.estimate.value == pytest.approx(variant.sum() / reference.sum())
    assert 0.9 < found.estimate.low < found.estimate.value < found.estimate.high < 1


def test_few_changed_scores_are_decided_by_bets(make_scores, recovery):
    reference = np.full(300, 0.5)
    reference[::2] = 0.7
    variant = reference.copy()
    variant[:5] -= 0.3
    found = recovery(0.99, *(make_scores(v, "score", bounds=(0, 1)) for v in (reference, variant)))

    assert found.outcome is Outcome.INCONCLUSIVE
    assert found.estimate.method.startswith("betting")


def test_equal_scores_without_bounds_pass_by_rule_and_few_changes_are_open(make_scores, recovery):
    reference = np.linspace(1, 9, 50)
    equal = make_scores(reference, "score")
    variant = reference.copy()
    variant[:3] -= 0.5

    found = recovery(0.99, equal, equal)
    assert (found.outcome, found.reason) == (Outcome.PASS, Reason.IDENTICAL_SCORES)
    assert (found.estimate.low, found.estimate.high) == (pytest.approx(0, abs=1e-9), math.inf)
    open_ = recovery(0.99, equal, make_scores(variant, "score"))
    assert (open_.outcome, open_.reason) == (Outcome.INCONCLUSIVE, Reason.FEW_NONZERO_DIFFERENCES)


def test_no_number_of_examples_settles_what_lies_on_the_limit(make_counts, recovery):
    found = recovery(0.5, *make_counts(100, 0, 200))

    assert (found.outcome, found.needed_n) == (Outcome.INCONCLUSIVE, None)


def test_nothing_to_keep_is_an_error(make_scores, recovery):
    wrong = make_scores([0.0] * 30)
    with pytest.raises(MeasurementError, match="the reference has accuracy 0 on these 30 examples"):
        recovery(0.9, wrong, wrong)


def test_scores_below_zero_have_no_ratio(make_scores, recovery):
    scores = make_scores([0.5] * 30, "score", bounds=(-1, 1))
    with pytest.raises(UsageError, match="use max_score_drop"):
        recovery(0.9, scores, scores)


def test_a_large_sample_is_decided_by_the_score_test(make_counts, recovery):
    found = recovery(0.99, *make_counts(100, 50, 25_000))

    assert found.outcome is Outcome.PASS
    assert "Nam-Blackwelder" in found.estimate.method


@pytest.mark.parametrize("clusters", [np.arange(400) // 2, None])
def test_where_all_is_lost_there_is_an_interval(make_counts, recovery, clusters):
    found = recovery(0.9, *make_counts(400, 0, 400, clusters=clusters))

    assert found.outcome is Outcome.FAIL
    assert (found.estimate.value, found.estimate.low) == (0, 0)
    assert 0 < found.estimate.high < 0.05


def test_the_interval_of_a_total_loss_has_a_closed_form():
    # With no gains and nothing kept, z² = n(1 - d) at a relative drop d.
    counts = PairedCounts(losses=50, gains=0, n=50, is_relative=True)

    found = tango_interval(counts, quantile=1.7)

    assert (found.low, found.high) == (pytest.approx(1 - 1.7**2 / 50), 1)


def test_examples_wrong_in_both_leave_the_chance_of_a_fail(make_scores, make_counts):
    limit, alpha = parse_limit("min_accuracy_recovery", 0.99), levels(0.05, 1)
    chances = []
    for n_wrong in (0, 400):
        sides = [
            make_scores([*side.values, *[0] * n_wrong], clusters=np.arange(400 + n_wrong) // 2)
            for side in make_counts(60, 40, 400)
        ]
        chances.append(judge(limit, sides[0], variant=sides[1], levels=alpha).power)

    assert chances[0] == pytest.approx(chances[1], abs=0.02)
    assert 0.1 < chances[0] < 0.9


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (0.25, 2.0)])
@pytest.mark.parametrize("ratio", [0.5, 1.0, 1.5, 8.0])
def test_bets_allow_for_the_largest_difference_that_bounds_do(make_scores, ratio, bounds):
    sides = (make_scores(bounds, "score", bounds=bounds) for _ in range(2))

    question = _question(ratio, align(*sides), levels(0.05, 1))

    assert question.reach == max(abs(ratio * one - other) for one in bounds for other in bounds)

"""What a budget can show: against closed forms, and where nothing can be shown."""

import math

import pytest
from scipy import stats

from pytest_quantcheck.core.grammar import parse_limit
from pytest_quantcheck.core.verdict import Outcome
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.planning import (
    Assumptions,
    largest_shown_pass,
    needed_examples,
    smallest_shown_fail,
)
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.plan import Plan


def plan(keyword, value, family=1, **assuming):
    limit = parse_limit(keyword, value)
    return Plan(limit=limit, levels=levels(0.05, family), assuming=Assumptions(**assuming))


@pytest.mark.parametrize(
    ("keyword", "value", "best", "worst"),
    [
        ("max_accuracy_drop", 0.1, 0, 1),
        ("max_truncated_rise", 0.1, 0, 1),
        ("max_flip_rate", 0.1, 0, 1),
        ("max_accuracy_norm_harmful_flip_rate", 0.1, 0, 1),
        ("min_accuracy_recovery", 0.9, 1, 0),
        ("min_accuracy", 0.8, 1, 0),
        ("min_reference_accuracy", 0.8, 1, 0),
        ("max_truncated", 0.1, 0, 1),
        ("max_perplexity_ratio", 1.1, 1, 1.1 * math.exp(20 * 0.05)),
        ("max_perplexity", 8.0, 8 * math.exp(-10), 8 * math.exp(10)),
        ("max_score_drop", 0.1, 0, 0.1 + 20 * 0.1),
        ("min_score", 0.5, 0.5 + 20 * 0.25, 0.5 - 20 * 0.25),
    ],
)
def test_each_limit_knows_its_best_and_worst(keyword, value, best, worst):
    found = plan(keyword, value)

    assert found.best == pytest.approx(best)
    assert found.worst == pytest.approx(worst)


def test_scores_with_bounds_end_there():
    found = plan("min_score", 5.0, bounds=(0.0, 10.0))

    assert (found.best, found.worst) == (10, 0)
    assert found.spread == 2.5
    assert plan("max_score_drop", 0.5, bounds=(0.0, 10.0)).spread == 1.0


def test_without_flips_pass_is_a_power_of_the_limit():
    still = plan("max_accuracy_drop", 0.01, flips=0.0)

    # (1 - B)^n <= alpha from n = 299 on.
    assert still.chance(Outcome.PASS, n=298, true=0.0) == 0
    assert still.chance(Outcome.PASS, n=299, true=0.0) == 1
    assert still.needed(0.0) == 299


@pytest.mark.parametrize("true", [0.02, 0.06, 0.12])
def test_shares_are_binomial(true):
    found = plan("max_flip_rate", 0.08, family=4)
    n = 400
    most = max(k for k in range(n) if stats.binom.cdf(k, n, 0.08) <= 0.05)
    fewest = min(k for k in range(n) if stats.binom.sf(k - 1, n, 0.08) <= 0.05 / 4)

    assert found.chance(Outcome.PASS, n=n, true=true) == pytest.approx(
        stats.binom.cdf(most, n, true)
    )
    assert found.chance(Outcome.FAIL, n=n, true=true) == pytest.approx(
        stats.binom.sf(fewest - 1, n, true)
    )


@pytest.mark.parametrize(("outcome", "true"), [(Outcome.PASS, 1.0), (Outcome.FAIL, 1.06)])
def test_perplexity_is_a_noncentral_t(outcome, true):
    found = plan("max_perplexity_ratio", 1.03, family=2, spread=0.06)
    alpha = 0.05 if outcome is Outcome.PASS else 0.025
    shift = abs(math.log(true) - math.log(1.03)) / 0.06 * math.sqrt(40)

    chance = stats.nct.sf(stats.t.isf(alpha, 39), 39, shift)

    assert found.chance(outcome, n=40, true=true) == pytest.approx(chance)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("max_accuracy_drop", 0.05),
        ("min_accuracy_recovery", 0.9),
        ("max_flip_rate", 0.1),
        ("min_accuracy", 0.8),
        ("max_perplexity_ratio", 1.05),
        ("max_perplexity", 9.0),
        ("max_score_drop", 0.1),
        ("min_score", 0.6),
    ],
)
def test_the_edges_have_80_percent_power_and_lie_on_their_sides(keyword, value):
    found, n = plan(keyword, value), 400
    edges = {Outcome.FAIL: found.smallest_fail(n), Outcome.PASS: found.largest_pass(n)}

    for outcome, edge in edges.items():
        assert found.chance(outcome, n=n, true=edge) >= 0.8
        nearer = edge + 0.02 * (value - edge)
        assert found.chance(outcome, n=n, true=nearer) < 0.81
    worse = 1 if found.worst > found.best else -1
    assert worse * edges[Outcome.PASS] < worse * value < worse * edges[Outcome.FAIL]


def test_shares_need_what_the_binomial_needs():
    # Nothing seen in 58 has a chance of .051 at the limit, in 59 of .048.
    assert needed_examples("max_flip_rate", 0.05) == 59
    assert needed_examples("min_accuracy", 0.95) == 59


def test_a_larger_family_moves_fail_alone():
    one, many = (plan("max_accuracy_drop", 0.05, family=m) for m in (1, 50))

    assert one.smallest_fail(300) < many.smallest_fail(300)
    assert one.largest_pass(300) == many.largest_pass(300)


@pytest.mark.parametrize(
    "change",
    [
        ("max_accuracy_drop", 0.0),
        ("max_flip_rate", 0.0),
        ("min_accuracy_recovery", 1.0),
        ("max_perplexity_ratio", 1.0),
    ],
)
def test_no_number_of_examples_shows_a_limit_of_nothing(change):
    found = plan(*change)

    assert found.never_passes
    assert found.needed(found.best) is None
    assert found.largest_pass(100_000) is None


def test_a_limit_that_nothing_exceeds_never_fails():
    assert plan("min_accuracy", 0.0).smallest_fail(1000) is None


def test_pass_needs_20_examples_and_5_clusters():
    lax = {"keyword": "max_accuracy_drop", "value": 0.9}

    assert plan(**lax).largest_pass(19) is None
    assert plan(**lax).largest_pass(20) is not None
    assert plan(**lax).needed(0.0) == 20
    assert plan(**lax, cluster_size=10.0).largest_pass(40) is None
    assert plan(**lax, cluster_size=10.0).needed(0.0) >= 50


def test_clusters_widen_by_the_design_effect():
    alone = plan("max_accuracy_drop", 0.05, flips=0.1)
    alike = plan("max_accuracy_drop", 0.05, flips=0.1, cluster_size=2.0)
    told = plan("max_accuracy_drop", 0.05, flips=0.1, cluster_size=2.0, design_effect=1.0)

    assert alike.smallest_fail(800) == pytest.approx(alone.smallest_fail(400))
    assert told.smallest_fail(400) == pytest.approx(alone.smallest_fail(400))
    assert alike.needed(0.0) == pytest.approx(2 * alone.needed(0.0), abs=2)


def test_shares_in_clusters_need_20_with_a_hit_and_20_without():
    found = plan("max_flip_rate", 0.1, cluster_size=2.5)

    assert found.needed(0.0) is None
    assert found.chance(Outcome.PASS, n=78, true=0.05) == 0
    assert found.largest_pass(60) is None
    assert 0 < found.largest_pass(4000) < 0.1 < found.smallest_fail(4000) < 1
    # 23.6 clusters with a hit are expected where at least 20 come with 80 % (Poisson).
    expected = stats.gamma.ppf(0.8, 20)
    assert found.needed(0.01) == math.ceil(2.5 * expected / 0.01)


def test_clusters_of_one_size_are_wholes_where_nothing_flips():
    found = plan("max_flip_rate", 0.05, cluster_size=2.0)

    assert found.needed(0.0) == 2 * 59
    assert found.chance(Outcome.PASS, n=2 * 59, true=0.0) == 1
    assert found.chance(Outcome.PASS, n=2 * 58, true=0.0) == 0


def test_few_gains_and_lossy_references_leave_shares_that_exist():
    rare = plan("min_accuracy_recovery", 0.9, flips=0.9, reference_level=0.1)

    for true in (0.0, 0.5, 1.0):
        assert 0 <= rare.chance(Outcome.FAIL, n=300, true=true) <= 1


def test_large_numbers_of_examples_are_planned_from_the_score():
    found = plan("max_accuracy_drop", 0.01)
    below, above = (found.chance(Outcome.PASS, n=n, true=0.0) for n in (19_990, 20_010))

    assert below == pytest.approx(above, abs=0.01)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"limit": "max_acuracy_drop"}, "did you mean 'max_accuracy_drop'"),
        ({"limit": "max_weight_memory_ratio"}, "is compared exactly"),
        ({"limit": "max_peak_memory_mib", "value": 100}, "is compared exactly"),
        ({"limit": "max_ttft_ratio", "value": 1.1}, "how much times scatter"),
        ({"value": 2}, "expected a fraction below 1"),
        ({"alpha": 0.5}, "alpha is 0.5"),
        ({"family_size": 0}, "family_size=0: expected a whole number"),
        ({"n": 0}, "n=0: expected a whole number of examples"),
        ({"n": 1.5}, "n=1.5: expected a whole number of examples"),
        ({"assuming": Assumptions(flips=5)}, "flips=5: expected a fraction"),
        ({"assuming": Assumptions(reference_level=0)}, "reference_level=0: expected"),
        ({"assuming": Assumptions(spread=0.0)}, "spread=0.0: expected a number above 0"),
        ({"assuming": Assumptions(cluster_size=0.5)}, "cluster_size=0.5: expected at least 1"),
        ({"assuming": Assumptions(design_effect=0.0)}, "design_effect=0.0: expected"),
    ],
)
def test_wrong_questions_are_refused(arguments, message):
    asked = {"limit": "max_accuracy_drop", "value": 0.01, "n": 100, **arguments}

    with pytest.raises(UsageError, match=message):
        smallest_shown_fail(**asked)


def test_a_true_value_must_be_a_number():
    with pytest.raises(UsageError, match="true=nan: expected a finite number"):
        needed_examples("max_accuracy_drop", 0.01, true=math.nan)


def test_the_truth_at_the_limit_needs_no_end_of_examples():
    assert needed_examples("max_accuracy_drop", 0.01, true=0.01) is None


def test_what_is_planned_for_a_number_of_examples_is_what_they_show():
    assuming = Assumptions(flips=0.1)
    n = needed_examples("max_accuracy_drop", 0.05, assuming=assuming)

    assert largest_shown_pass("max_accuracy_drop", 0.05, n=2 * n, assuming=assuming) > 0
    assert largest_shown_pass("max_accuracy_drop", 0.05, n=n // 2, assuming=assuming) is None

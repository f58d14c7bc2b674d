"""Which procedure decides which limit, in which unit, and that verdicts are plain."""

import math
from dataclasses import fields

import numpy as np
import pytest
from scipy import stats

from pytest_quantcheck.core.limit import Bound, Statistic
from pytest_quantcheck.core.verdict import Outcome, Reason
from pytest_quantcheck.errors import MeasurementError, UnpairedScoresError, UsageError
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.procedures import judge, judge_weight_ratio

EXACT = "exact unconditional test on paired proportions (Tango ordering)"
CLUSTERED = "score test on paired proportions (Tango) with design effect of clusters"
T_TEST = "t-test of the ratio mean (CR2 standard error, Bell-McCaffrey df)"
BETS = "betting e-value of the bounded mean (mixture of constant bets)"
BINOMIAL = "exact binomial test (Clopper-Pearson interval)"
LEVELS = levels(0.05, 1)
PAIRS_OF_TWO = np.arange(200) // 2


def noise(n, seed=7):
    return np.random.default_rng(seed).normal(size=n)


def scores_pair(make_scores, n=60, drop=0.0, **kwargs):
    reference = 0.5 + 0.01 * noise(n, 1)
    variant = reference - drop + 0.01 * noise(n, 2)
    return make_scores(reference, "score", **kwargs), make_scores(variant, "score", **kwargs)


def losses_pair(make_scores, ratio, n=60, **kwargs):
    tokens = 100.0 + np.arange(n)
    reference = tokens * 2 + noise(n, 1)
    variant = reference + tokens * (math.log(ratio) + 0.01 * noise(n, 2))
    kwargs["weights"] = tokens
    return (make_scores(nll, "perplexity", **kwargs) for nll in (reference, variant))


def test_drop_of_right_answers_is_tested_exactly(make_counts, verdict):
    found = verdict(0.02, *make_counts(40, 5, 500))
    assert found.outcome is Outcome.FAIL
    assert found.estimate.method == EXACT
    assert found.estimate.value == 0.07
    assert found.estimate.counts == {"losses": 40, "gains": 5, "both": 455, "neither": 0}
    # golden value of 40 losses, 5 gains, n = 500, limit 2 pp
    assert found.estimate.p_fail == pytest.approx(3.917e-5, abs=1e-8)


def test_examples_in_clusters_widen_the_interval(make_counts, verdict):
    alone = verdict(0.05, *make_counts(4, 2, 200))
    grouped = verdict(0.05, *make_counts(4, 2, 200, clusters=PAIRS_OF_TWO))
    assert (alone.estimate.method, grouped.estimate.method) == (EXACT, CLUSTERED)
    assert (alone.estimate.n_clusters, grouped.estimate.n_clusters) == (None, 100)
    assert grouped.estimate.low < alone.estimate.low


def test_clusters_of_one_example_change_nothing(make_counts, verdict):
    alone = verdict(0.05, *make_counts(4, 2, 100))
    assert verdict(0.05, *make_counts(4, 2, 100, clusters=np.arange(100)[::-1])) == alone


def test_scores_of_zero_and_one_are_tested_exactly(make_scores, verdict):
    reference = make_scores([1.0] * 30, "score", bounds=(0, 1))
    assert verdict(0.05, reference, reference).estimate.method == EXACT


def test_scores_are_tested_by_the_ratio_mean(make_scores, verdict):
    reference, variant = scores_pair(make_scores)
    found = verdict(0.02, reference, variant)
    oracle = stats.ttest_1samp(reference.values - variant.values, 0.02, alternative="less")
    assert (found.outcome, found.estimate.method) == (Outcome.PASS, T_TEST)
    assert found.estimate.p_pass == pytest.approx(oracle.pvalue, rel=1e-9)


def test_few_differences_of_bounded_scores_are_decided_by_bets(make_scores, verdict):
    reference = np.full(400, 0.5)
    variant = reference.copy()
    variant[:19] -= 0.2
    pair = [make_scores(v, "score", bounds=(0, 1)) for v in (reference, variant)]
    found = verdict(0.2, *pair)
    assert (found.outcome, found.estimate.method) == (Outcome.PASS, BETS)
    variant[19] -= 0.2
    pair = [make_scores(v, "score", bounds=(0, 1)) for v in (reference, variant)]
    assert verdict(0.2, *pair).estimate.method == T_TEST


def test_perplexity_is_reported_as_a_ratio(make_scores, verdict):
    found = verdict(1.05, *losses_pair(make_scores, 1.02), Statistic.LOG_RATIO)
    assert (found.outcome, found.estimate.method) == (Outcome.PASS, T_TEST)
    assert found.estimate.value == pytest.approx(1.02, abs=0.005)
    assert found.estimate.low < found.estimate.value < found.estimate.high < 1.05
    assert verdict(1.01, *losses_pair(make_scores, 1.02), Statistic.LOG_RATIO).outcome is (
        Outcome.FAIL
    )


def test_perplexity_of_documents_in_clusters(make_scores, verdict):
    pair = losses_pair(make_scores, 1.0, clusters=np.arange(60) // 10)
    found = verdict(1.1, *pair, Statistic.LOG_RATIO)
    assert (found.estimate.n_clusters, found.estimate.n) == (6, 60)
    assert found.outcome is Outcome.PASS
    assert found.note == "there are 6 clusters only: expect a wide interval"


@pytest.mark.parametrize(
    ("statistic", "hits"), [(Statistic.FLIPS, 12), (Statistic.HARMFUL_FLIPS, 8)]
)
def test_flips_are_an_exact_share(make_counts, verdict, statistic, hits):
    found = verdict(0.05, *make_counts(8, 4, 200), statistic)
    assert found.estimate.method == BINOMIAL
    assert found.estimate.value == hits / 200
    assert found.estimate.counts == {
        "losses": 8,
        "gains": 4,
        "both": 188,
        "neither": 0,
        "hits": hits,
    }
    assert found.estimate.p_pass == pytest.approx(stats.binom.cdf(hits, 200, 0.05))


def test_flips_in_clusters_need_twenty_clusters_that_differ(make_counts, verdict):
    unequal = np.append(PAIRS_OF_TWO[:-1], 100)
    few = verdict(0.2, *make_counts(30, 0, 200, clusters=unequal), Statistic.FLIPS)
    assert (few.outcome, few.reason) == (Outcome.INCONCLUSIVE, Reason.FEW_NONZERO_DIFFERENCES)
    assert (few.estimate.low, few.estimate.high, few.estimate.p_pass) == (0.0, 1.0, 1.0)
    assert few.needed_n is None
    enough = verdict(0.5, *make_counts(45, 0, 200, clusters=PAIRS_OF_TWO), Statistic.FLIPS)
    assert (enough.outcome, enough.estimate.method) == (Outcome.PASS, T_TEST)


def test_flips_in_clusters_are_planned_in_examples(make_counts, verdict):
    found = verdict(0.25, *make_counts(45, 0, 200, clusters=PAIRS_OF_TWO), Statistic.FLIPS)
    assert found.outcome is Outcome.INCONCLUSIVE
    assert 1000 < found.needed_n < 10_000


@pytest.mark.parametrize("statistic", [Statistic.VARIANT_LEVEL, Statistic.REFERENCE_LEVEL])
def test_accuracy_floor_is_an_exact_share(make_scores, verdict, statistic):
    good, bad = make_scores([1] * 90 + [0] * 10), make_scores([1] * 10 + [0] * 90)
    pair = (bad, good) if statistic is Statistic.VARIANT_LEVEL else (good, bad)
    found = verdict(0.8, *pair, statistic, bound=Bound.LOWER)
    assert (found.outcome, found.estimate.value) == (Outcome.PASS, 0.9)
    assert found.estimate.p_pass == pytest.approx(stats.binom.sf(89, 100, 0.8))
    other = verdict(0.8, *pair[::-1], statistic, bound=Bound.LOWER)
    assert (other.outcome, other.estimate.value) == (Outcome.FAIL, 0.1)


def test_score_floor_is_a_mean(make_scores, verdict):
    scores, _ = scores_pair(make_scores)
    floors = Statistic.VARIANT_LEVEL
    for bounds in (None, (0.0, 1.0)):
        scores = make_scores(scores.values, "score", bounds=bounds)
        found = verdict(0.49, scores, scores, floors, bound=Bound.LOWER)
        oracle = stats.ttest_1samp(scores.values, 0.49, alternative="greater")
        assert (found.outcome, found.estimate.method) == (Outcome.PASS, T_TEST)
        assert found.estimate.value == pytest.approx(scores.values.mean())
        assert found.estimate.low < found.estimate.value < found.estimate.high
        assert found.estimate.p_pass == pytest.approx(oracle.pvalue, rel=1e-6)
        assert verdict(0.6, scores, scores, floors, bound=Bound.LOWER).outcome is Outcome.FAIL


def test_score_ceiling_is_a_mean(make_scores, verdict):
    scores = make_scores(0.5 + 0.01 * noise(60), "score", bounds=(0.0, 1.0))
    found = verdict(0.6, scores, scores, Statistic.VARIANT_LEVEL)
    assert found.outcome is Outcome.PASS
    assert found.estimate.value == pytest.approx(scores.values.mean())


def test_perplexity_ceiling_is_in_units_of_perplexity(make_scores, verdict):
    reference, variant = losses_pair(make_scores, 1.02)
    found = verdict(8.0, reference, variant, Statistic.VARIANT_LEVEL)
    total = math.fsum(variant.values) / math.fsum(variant.weights)
    assert (found.outcome, found.estimate.value) == (Outcome.PASS, pytest.approx(math.exp(total)))
    assert verdict(7.0, reference, variant, Statistic.REFERENCE_LEVEL).outcome is Outcome.FAIL


def test_level_looks_at_one_side_only(make_scores, verdict):
    good, other = make_scores([1] * 50), make_scores([1, 0], ids=["x", "y"])
    assert verdict(0.5, other, good, Statistic.VARIANT_LEVEL, bound=Bound.LOWER).estimate.n == 50
    with pytest.raises(UnpairedScoresError):
        verdict(0.5, other, good)


@pytest.mark.parametrize(
    ("variant_bytes", "outcome", "p_pass", "p_fail"),
    [(45, Outcome.PASS, 0.0, 1.0), (46, Outcome.FAIL, 1.0, 0.0)],
)
def test_weights_are_compared_exactly(make_limit, variant_bytes, outcome, p_pass, p_fail):
    limit = make_limit(0.45, Statistic.WEIGHT_RATIO)
    found = judge_weight_ratio(limit, 100, variant_bytes=variant_bytes, levels=LEVELS)
    ratio = variant_bytes / 100
    assert (found.outcome, found.reason) == (outcome, Reason.EXACT)
    assert (found.estimate.low, found.estimate.value, found.estimate.high) == (ratio,) * 3
    assert (found.estimate.p_pass, found.estimate.p_fail) == (p_pass, p_fail)
    assert (found.estimate.n, found.needed_n) == (0, None)


def test_reference_without_weights_is_refused(make_limit):
    with pytest.raises(MeasurementError, match="the reference has 0 bytes of weights"):
        judge_weight_ratio(
            make_limit(0.45, Statistic.WEIGHT_RATIO), 0, variant_bytes=3, levels=LEVELS
        )


@pytest.mark.parametrize(
    ("value", "statistic", "metric", "text"),
    [
        (math.nan, Statistic.DROP, "accuracy", "max_accuracy_drop is NaN"),
        (
            0.1,
            Statistic.DROP,
            "perplexity",
            "max_accuracy_drop: perplexity has a ratio, not a diff",
        ),
        (1.1, Statistic.LOG_RATIO, "accuracy", "max_accuracy_drop: accuracy has a drop, not a"),
        (0.0, Statistic.LOG_RATIO, "perplexity", "max_accuracy_drop=0.0: give a number above 0"),
        (0.1, Statistic.FLIPS, "perplexity", "counts right and wrong answers; see perplexity"),
        (-0.1, Statistic.FLIPS, "accuracy", "max_accuracy_drop=-0.1: give a fraction in .0, 1."),
        (-1.0, Statistic.DROP, "accuracy", "max_accuracy_drop=-1.0: no drop lies below -1.0"),
        (0.4, Statistic.WEIGHT_RATIO, "accuracy", "max_accuracy_drop compares weights, not"),
    ],
)
def test_limits_without_meaning_are_refused(
    make_scores, make_limit, value, statistic, metric, text
):
    scores = make_scores([1.0] * 20, metric)
    with pytest.raises(UsageError, match=text):
        judge(make_limit(value, statistic), scores, variant=scores, levels=LEVELS)


def test_floor_above_one_is_refused(make_scores, verdict):
    scores = make_scores([1.0] * 20)
    with pytest.raises(UsageError, match="=91: give a fraction"):
        verdict(91, scores, scores, Statistic.VARIANT_LEVEL, bound=Bound.LOWER)


def test_exchanging_reference_and_variant_flips_the_sign(make_counts, make_scores, verdict):
    for pair in (make_counts(9, 2, 120), scores_pair(make_scores, drop=0.003)):
        there, back = (verdict(0.05, *p).estimate for p in (pair, pair[::-1]))
        assert there.value == -back.value
        assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    reference, variant = losses_pair(make_scores, 1.02)
    there = verdict(1.05, reference, variant, Statistic.LOG_RATIO).estimate
    back = verdict(1.05, variant, reference, Statistic.LOG_RATIO).estimate
    assert (there.low, there.high) == pytest.approx((1 / back.high, 1 / back.low))


def test_order_of_examples_changes_nothing(make_scores, verdict):
    order = np.random.default_rng(3).permutation(60)

    def permuted(scores):
        return make_scores(
            scores.values[order],
            scores.metric,
            ids=[scores.ids[i] for i in order],
            weights=scores.weights[order],
            clusters=scores.clusters[order],
        )

    pair = list(losses_pair(make_scores, 1.02, clusters=np.arange(60) // 4))
    there = verdict(1.03, *pair, Statistic.LOG_RATIO)
    assert verdict(1.03, *map(permuted, pair), Statistic.LOG_RATIO) == there


@pytest.mark.parametrize("statistic", [Statistic.DROP, Statistic.FLIPS, Statistic.HARMFUL_FLIPS])
def test_verdict_is_monotone_in_the_limit(make_counts, verdict, statistic):
    pair = make_counts(23, 3, 178)
    order = {Outcome.FAIL: 0, Outcome.INCONCLUSIVE: 1, Outcome.PASS: 2}
    found = [order[verdict(b / 1000, *pair, statistic).outcome] for b in range(20, 300, 9)]
    assert found == sorted(found)
    assert set(found) == {0, 1, 2}


def every_verdict(make_counts, make_scores, verdict):
    yield verdict(0.02, *make_counts(5, 2, 100))
    yield verdict(0.02, *make_counts(5, 2, 200, clusters=PAIRS_OF_TWO))
    for statistic in (Statistic.FLIPS, Statistic.HARMFUL_FLIPS, Statistic.VARIANT_LEVEL):
        yield verdict(0.05, *make_counts(5, 2, 100), statistic)
        yield verdict(0.2, *make_counts(45, 2, 200, clusters=PAIRS_OF_TWO), statistic)
    yield verdict(0.02, *scores_pair(make_scores))
    yield verdict(0.02, *scores_pair(make_scores, n=10, bounds=(0, 1)))
    yield verdict(0.02, *scores_pair(make_scores, n=10))
    yield verdict(1.02, *losses_pair(make_scores, 1.02), Statistic.LOG_RATIO)
    yield verdict(8, *losses_pair(make_scores, 1.02), Statistic.VARIANT_LEVEL)


def test_verdicts_hold_plain_builtins(make_counts, make_scores, verdict):
    plain = {str, int, float, type(None)}
    for found in every_verdict(make_counts, make_scores, verdict):
        values = [getattr(found.estimate, f.name) for f in fields(found.estimate)]
        values += [found.needed_n, found.note, *found.estimate.counts.values()]
        types = {type(value) for value in values}
        assert types <= plain | {dict}, found
        assert {type(key) for key in found.estimate.counts} <= {str}

"""Limits on predictions: means, quantiles and shares of tokens that come in documents."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from pytest_quantcheck.core.budget import Gate, Target
from pytest_quantcheck.core.grammar import parse_limit
from pytest_quantcheck.core.verdict import Outcome, Reason
from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.noise import floor_of, measure_noise
from pytest_quantcheck.stats.procedures import judge
from pytest_quantcheck.stats.ratio_mean import ClusterSums
from pytest_quantcheck.stats.scores import ExampleScores, metric_level, pooled_quantile
from pytest_quantcheck.stats.sequential.trial import can_stop
from pytest_quantcheck.stats.skewed_mean import estimate_skewed_ratio_mean

KEYWORDS = ("max_mean_kl", "max_p99_kl", "min_top1_agreement")


def scores_of(documents, **options):
    """Return the scores of documents, each an array of its tokens' divergences, by metric."""
    given = {
        "ids": tuple(f"d{i:03}" for i in range(len(documents))),
        "weights": np.array([len(one) for one in documents], np.float64),
    } | options
    values = {
        "mean_kl": [one.sum() for one in documents],
        "p99_kl": [pooled_quantile("p99_kl", [one]) for one in documents],
        "top1_agreement": [(one <= 0.1).sum() for one in documents],
    }
    found = {
        name: ExampleScores(metric=name, values=np.array(value, np.float64), **given)
        for name, value in values.items()
    }
    tokens = tuple(documents)
    found["p99_kl"] = ExampleScores(
        metric="p99_kl", values=found["p99_kl"].values, observations=tokens, **given
    )
    return found


def draw(n, seed=0, *, sizes=(100, 300), spread=0.4):
    """Return documents of log-normal divergences with a median of 0.02 nats."""
    rng = np.random.default_rng(seed)
    return [
        0.02 * np.exp(spread * rng.standard_normal() + rng.standard_normal(rng.integers(*sizes)))
        for _ in range(n)
    ]


def verdict(keyword, value, scores, *, gate=Gate.REGRESSION, target=Target.POPULATION):
    limit = parse_limit(keyword, value)
    mine = scores[limit.metric]
    return judge(limit, mine, variant=mine, levels=levels(0.05, 1), gate=gate, target=target)


@pytest.mark.parametrize(
    ("keyword", "kept", "broken"),
    [("max_mean_kl", 0.05, 0.02), ("max_p99_kl", 0.6, 0.1), ("min_top1_agreement", 0.8, 0.99)],
)
def test_a_limit_far_from_the_truth_is_decided_and_one_on_it_is_not(keyword, kept, broken):
    scores = scores_of(draw(60))
    found = verdict(keyword, kept, scores)
    estimate = found.estimate
    assert (found.outcome, found.reason) == (Outcome.PASS, Reason.SHOWN_WITHIN)
    assert verdict(keyword, broken, scores).outcome is Outcome.FAIL
    open_ = verdict(keyword, estimate.value, scores)
    assert open_.outcome is Outcome.INCONCLUSIVE
    assert estimate.value == pytest.approx(metric_level(scores[parse_limit(keyword, 0.5).metric]))
    assert estimate.low < estimate.value < estimate.high
    assert (estimate.n, estimate.n_clusters) == (60, None)
    assert 0.9 < found.power <= 1


def test_documents_of_one_length_are_tested_as_their_means():
    documents = draw(40, sizes=(200, 201))
    alone = ClusterSums(sums=np.array([one.mean() for one in documents]), sizes=np.ones(40))
    means = estimate_skewed_ratio_mean(alone, least=0.0)
    estimate = verdict("max_mean_kl", 0.05, scores_of(documents)).estimate
    assert estimate.value == pytest.approx(means.mean)
    assert estimate.p_pass == pytest.approx(means.p_pass(0.05), rel=1e-9)
    assert estimate.high == pytest.approx(means.invert(alpha=0.05).high, rel=1e-9)


def test_long_documents_count_by_their_tokens():
    documents = [np.full(100, 0.01)] * 30 + [np.full(1000, 0.03 + i / 1e5) for i in range(30)]
    found = verdict("max_mean_kl", 0.05, scores_of(documents))
    assert found.estimate.value == pytest.approx((30 * 1 + 30.145 * 30) / 33_000, rel=1e-3)


def test_skew_blocks_a_pass_and_the_strict_gate_asks_for_more():
    documents = [
        np.full(100, 0.01 * math.exp(1.3 * x)) for x in stats.norm.ppf(np.arange(1, 60) / 60)
    ]
    scores = scores_of(documents)
    free = verdict("max_mean_kl", 0.08, scores_of(draw(60)), gate=Gate.STRICT)
    blocked = verdict("max_mean_kl", 0.08, scores, gate=Gate.STRICT)
    assert free.outcome is Outcome.PASS
    assert blocked.estimate.p_pass <= 0.05
    assert (blocked.outcome, blocked.reason) == (Outcome.INCONCLUSIVE, Reason.TOO_SKEWED)
    assert "documents for a PASS, there are 59; the largest carries" in blocked.note
    assert blocked.needed_n > 59
    over = verdict("max_mean_kl", 0.001, scores, gate=Gate.STRICT)
    assert over.outcome is Outcome.FAIL  # skewness blocks no FAIL
    mild = [one**0.7 for one in documents]
    assert verdict("max_mean_kl", 0.2, scores_of(mild)).outcome is Outcome.PASS


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_predictions_equal_bit_for_bit_pass_by_a_rule_from_20_documents_on(keyword):
    value = {"min_top1_agreement": 0.99}.get(keyword, 0.001)
    for n, expected in ((20, Outcome.PASS), (19, Outcome.INCONCLUSIVE)):
        scores = scores_of([np.zeros(30 + i) for i in range(n)], is_identical=True)
        found = verdict(keyword, value, scores)
        assert found.outcome is expected
        assert found.estimate.high - found.estimate.low > 0.01
    assert found.reason is Reason.TOO_FEW_EXAMPLES


def test_equal_top_tokens_alone_are_no_identity():
    scores = scores_of([np.full(30 + i, 0.01) for i in range(40)])
    found = verdict("min_top1_agreement", 0.95, scores)
    assert found.outcome is Outcome.INCONCLUSIVE  # 40 documents without a miss: .95^40 = .13
    assert "bet" in found.estimate.method
    constant = verdict("max_mean_kl", 0.02, scores)
    assert (constant.outcome, constant.reason) == (Outcome.PASS, Reason.CONSTANT_DIFFERENCE)
    assert constant.power is None
    assert verdict("max_p99_kl", 0.02, scores).power is None  # no spread to tell


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_a_looser_limit_is_never_harder_to_show(keyword):
    scores = scores_of(draw(60))
    grid = (
        np.linspace(0.5, 0.999, 40)[::-1]
        if keyword.startswith("min")
        else np.geomspace(0.01, 9, 40)
    )
    found = [verdict(keyword, float(value), scores).estimate for value in grid]
    passes = [one.p_pass <= 0.05 for one in found]
    assert passes == sorted(passes)
    assert found[-1].p_pass < 0.02
    fails = [one.p_fail <= 0.05 for one in found]
    assert fails == sorted(fails, reverse=True)


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_the_interval_holds_the_limits_that_are_not_decided(keyword):
    scores = scores_of(draw(60))
    grid = np.linspace(0.7, 0.99, 30) if keyword.startswith("min") else np.geomspace(0.01, 2, 30)
    for value in grid.tolist():
        found = verdict(keyword, value, scores)
        low, high = found.estimate.low, found.estimate.high
        assert (found.outcome is Outcome.INCONCLUSIVE) is (low < value < high), value


def test_few_documents_over_a_limit_are_left_to_bets_on_the_failing_side():
    quiet = [np.full(50, 0.01)] * 40
    loud = [np.concatenate([np.full(40, 0.01), np.full(10, 5.0)])] * 5
    found = verdict("max_p99_kl", 1, scores_of(quiet + loud))
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "bet" in found.estimate.method
    assert found.estimate.counts == {"over": 50, "tokens": 2250}


def test_clusters_of_documents_are_one_example_each():
    documents, labels = draw(60), np.repeat(np.arange(20), 3)
    alone = scores_of(documents)
    together = scores_of(documents, clusters=labels.astype(np.int64))
    for keyword, value in zip(KEYWORDS, (0.05, 0.6, 0.8), strict=True):
        estimate = verdict(keyword, value, together).estimate
        assert (estimate.n, estimate.n_clusters) == (60, 20)
        assert estimate.value == verdict(keyword, value, alone).estimate.value


def test_order_of_documents_changes_nothing():
    documents = draw(40)
    one = scores_of(documents)
    names = tuple(f"d{i:03}" for i in range(40))
    other = scores_of(documents[::-1], ids=names[::-1])
    for keyword, value in zip(KEYWORDS, (0.05, 0.6, 0.8), strict=True):
        assert verdict(keyword, value, one) == verdict(keyword, value, other)


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_a_claim_about_these_documents_is_arithmetic(keyword):
    scores = scores_of(draw(7))
    level = metric_level(scores[parse_limit(keyword, 0.5).metric])
    sign = -1 if keyword.startswith("min") else 1
    for change, expected in ((1e-6, Outcome.PASS), (-1e-6, Outcome.FAIL)):
        found = verdict(keyword, level + sign * change, scores, target=Target.DATASET)
        assert found.outcome is expected
        assert math.isnan(found.estimate.low)


def test_impossible_values_are_refused():
    scores = scores_of(draw(30))["mean_kl"]
    for name, wrong, message in (
        ("mean_kl", -0.1, "not a finite divergence of 0 or more"),
        ("mean_kl", np.inf, "not a finite divergence of 0 or more"),
        ("top1_agreement", 1e6, "not a number of its tokens"),
    ):
        values = np.where(np.arange(30) == 3, wrong, 1.0)
        bad = ExampleScores(metric=name, ids=scores.ids, values=values, weights=scores.weights)
        with pytest.raises(MeasurementError, match=message):
            verdict({"mean_kl": "max_mean_kl"}.get(name, "min_top1_agreement"), 0.5, {name: bad})


def test_budgets_on_predictions_wait_for_all_documents():
    for keyword in KEYWORDS:
        assert not can_stop(parse_limit(keyword, 0.5), Target.POPULATION)


def test_noise_holds_back_a_mean_alone():
    documents = draw(40)
    scores = scores_of(documents)["mean_kl"]
    nothing = ExampleScores(
        metric="mean_kl", ids=scores.ids, values=scores.values * 0, weights=scores.weights
    )
    noise = measure_noise(nothing, scores, alpha=0.05, is_identical=False)
    floor = floor_of(parse_limit("max_mean_kl", 0.01), noise, reference_level=0.0)
    assert floor > metric_level(scores)
    for keyword in KEYWORDS[1:]:
        assert floor_of(parse_limit(keyword, 0.5), noise, reference_level=0.0) is None

"""How far a model may differ from itself, and what that keeps from being a FAIL."""

import math

import numpy as np
import pytest
from scipy import stats

from pytest_quantcheck.core.grammar import parse_limit
from pytest_quantcheck.core.limit import Bound
from pytest_quantcheck.core.verdict import Outcome, Reason
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.noise import Noise, floor_of, hold_back, measure_noise
from pytest_quantcheck.stats.procedures import judge
from pytest_quantcheck.stats.scores import ExampleScores


def scores(values, metric="accuracy", *, weights=None, clusters=None, bounds=None):
    values = np.asarray(values, float)
    return ExampleScores(
        metric=metric,
        ids=tuple(f"{i:05}" for i in range(values.size)),
        values=values,
        weights=np.ones(values.size) if weights is None else weights,
        clusters=clusters,
        bounds=bounds,
    )


def right(n, wrong=()):
    values = np.ones(n)
    values[list(wrong)] = 0
    return values


def noise_of(first, second, *, is_identical=False, **options):
    return measure_noise(
        scores(first, **options),
        scores(second, **options),
        alpha=0.05,
        is_identical=is_identical,
    )


@pytest.mark.parametrize(("n", "wrong"), [(1000, [3, 7]), (300, []), (20, range(20))])
def test_answers_that_flip_have_the_exact_limit_of_a_share(n, wrong):
    found = noise_of(right(n), right(n, wrong))

    exact = stats.binomtest(len(wrong), n).proportion_ci(0.9, "exact").high
    assert (found.n, found.n_different, found.difference) == (n, len(wrong), -len(wrong) / n)
    assert found.most == pytest.approx(exact)


def test_flips_both_ways_cancel_in_the_difference_and_not_in_the_limit():
    found = noise_of(right(100, [0, 1]), right(100, [2, 3]))

    assert (found.n_different, found.difference) == (4, 0.0)
    assert found.most > 0.04


def test_what_agrees_bit_for_bit_has_no_noise():
    assert noise_of(right(50), right(50), is_identical=True).most == 0.0
    assert noise_of(right(50), right(50)).most == pytest.approx(1 - 0.05 ** (1 / 50))


def test_flips_in_clusters_have_a_higher_limit():
    clusters = np.repeat(np.arange(50), 20)
    flipped = right(1000, range(60))
    alone = noise_of(right(1000), flipped).most
    together = noise_of(right(1000), flipped, clusters=clusters).most

    assert together > 1.5 * alone


def test_nats_have_the_limit_of_their_mean_by_token():
    rng = np.random.default_rng(1)
    tokens = rng.integers(50, 200, 80).astype(float)
    first = 2.0 * tokens
    second = first + rng.normal(0, 1e-3, 80) * tokens

    found = noise_of(first, second, metric="perplexity", weights=tokens)

    absolute = np.abs(second - first)
    assert found.difference == pytest.approx((second - first).sum() / tokens.sum())
    assert absolute.sum() / tokens.sum() < found.most < 1.4 * absolute.sum() / tokens.sum()


def test_few_changed_unbounded_values_are_limited_by_the_largest():
    first, second = np.full(60, 2.0), np.full(60, 2.0)
    second[5] += 0.25

    assert noise_of(first, second, metric="perplexity").most == 0.25


def test_few_changed_bounded_scores_are_bet_on():
    first, second = np.full(500, 0.5), np.full(500, 0.5)
    second[5] += 0.25

    found = noise_of(first, second, metric="score", bounds=(0.0, 1.0))

    assert 0.25 / 500 < found.most < 0.03


@pytest.mark.parametrize("n", [50, 400])
def test_the_limit_of_flips_covers_the_true_rate(n):
    rng, rate, runs = np.random.default_rng(n), 0.02, 400
    covered = [
        noise_of(right(n), right(n, np.flatnonzero(rng.random(n) < rate))).most >= rate
        for _ in range(runs)
    ]

    assert np.mean(covered) >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / runs)


def known(most):
    return Noise(n=100, n_different=1, difference=0.0, most=most)


FLOORS = [
    ("max_accuracy_drop", 0.01, 0.004),
    ("max_degenerate_rise", 0.01, 0.004),
    ("max_flip_rate", 0.01, 0.004),
    ("max_harmful_flip_rate", 0.01, 0.004),
    ("max_perplexity_ratio", 1.01, math.exp(0.004)),
    ("min_accuracy_recovery", 0.99, 1 - 0.004 / 0.8),
    ("min_accuracy", 0.9, None),
    ("min_reference_accuracy", 0.9, None),
]


@pytest.mark.parametrize(("keyword", "value", "floor"), FLOORS)
def test_the_floor_is_in_the_unit_of_the_limit(keyword, value, floor):
    found = floor_of(parse_limit(keyword, value), known(0.004), reference_level=0.8)

    assert found == (None if floor is None else pytest.approx(floor))


def test_a_recovery_of_nothing_has_no_floor():
    limit = parse_limit("min_accuracy_recovery", 0.99)

    assert floor_of(limit, known(0.004), reference_level=0.0) is None


def verdict_on(keyword, value, *, losses, n=1000):
    return judge(
        parse_limit(keyword, value),
        scores(right(n)),
        variant=scores(right(n, range(losses))),
        levels=levels(0.05, 1),
    )


@pytest.mark.parametrize("keyword", ["max_accuracy_drop", "max_flip_rate"])
def test_a_fail_is_held_back_where_its_interval_reaches_the_floor(keyword):
    verdict = verdict_on(keyword, 0.01, losses=50)
    assert verdict.outcome is Outcome.FAIL
    low = verdict.estimate.low

    held = hold_back(verdict, floor=low, bound=Bound.UPPER)

    assert (held.outcome, held.reason) == (Outcome.INCONCLUSIVE, Reason.BELOW_NOISE_FLOOR)
    assert held.estimate is verdict.estimate
    assert hold_back(verdict, floor=low - 1e-9, bound=Bound.UPPER) is verdict
    assert hold_back(verdict, floor=None, bound=Bound.UPPER) is verdict


def test_a_fail_of_a_recovery_is_held_back_from_above():
    verdict = verdict_on("min_accuracy_recovery", 0.99, losses=50)
    high = verdict.estimate.high

    assert hold_back(verdict, floor=high + 1e-9, bound=Bound.LOWER) is verdict
    held = hold_back(verdict, floor=high, bound=Bound.LOWER)
    assert held.reason is Reason.BELOW_NOISE_FLOOR


@pytest.mark.parametrize("losses", [0, 10])
def test_pass_and_inconclusive_stay_what_they_are(losses):
    verdict = verdict_on("max_accuracy_drop", 0.01, losses=losses)

    assert verdict.outcome is not Outcome.FAIL
    assert hold_back(verdict, floor=0.5, bound=Bound.UPPER) is verdict


def test_a_loss_that_is_infinite_is_no_noise():
    nats = np.full(50, 2.0)
    broken = nats.copy()
    broken[0] = np.inf
    verdict = judge(
        parse_limit("max_perplexity_ratio", 1.1),
        scores(nats, "perplexity"),
        variant=scores(broken, "perplexity"),
        levels=levels(0.05, 1),
    )

    assert hold_back(verdict, floor=1e9, bound=Bound.UPPER).outcome is Outcome.FAIL

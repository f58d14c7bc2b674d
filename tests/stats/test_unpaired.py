"""Means of different examples: Welch's test, and what it needs."""

import numpy as np
import pytest
from scipy import stats

from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.stats.scores import ExampleScores
from pytest_quantcheck.stats.unpaired import compare_means


def scores(values, **fields):
    n = len(values)
    ids = tuple(f"e{i}" for i in range(n))
    given = {"weights": np.ones(n)} | fields
    return ExampleScores(metric="score", ids=ids, values=np.array(values, float), **given)


@pytest.fixture
def sides():
    rng = np.random.default_rng(0)
    return rng.normal(0, 1, 60), rng.normal(0.4, 2, 45)


def test_it_is_welchs_test(sides):
    found = compare_means(*map(scores, sides), alpha=0.05)

    known = stats.ttest_ind(sides[1], sides[0], equal_var=False, alternative="greater")
    interval = stats.ttest_ind(sides[1], sides[0], equal_var=False).confidence_interval(0.9)
    assert found.p_larger == pytest.approx(known.pvalue, rel=1e-12)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-12)


def test_swapping_the_sides_flips_the_sign(sides):
    forth, back = (compare_means(*map(scores, pair), alpha=0.05) for pair in (sides, sides[::-1]))

    assert back.value == -forth.value
    assert back.p_larger == pytest.approx(1 - forth.p_larger)
    assert (back.low, back.high) == pytest.approx((-forth.high, -forth.low))


def test_copies_in_one_cluster_tell_no_more_than_one(sides):
    first, second = sides
    double = scores(np.repeat(first, 2), clusters=np.repeat(np.arange(60), 2))

    found = compare_means(double, scores(second), alpha=0.05)
    known = compare_means(scores(first), scores(second), alpha=0.05)
    assert (found.low, found.high) == pytest.approx((known.low, known.high))


def test_weights_make_ratio_means(sides):
    weights = np.full(60, 4.0)
    heavy = scores(sides[0] * weights, weights=weights)

    found = compare_means(heavy, scores(sides[1]), alpha=0.05)

    assert found.value == pytest.approx(sides[1].mean() - sides[0].mean())


def test_false_alarms_are_as_rare_as_asked():
    rng = np.random.default_rng(1)
    runs, alpha = 1000, 0.05
    draws = rng.random((runs, 2, 80)) < 0.8
    alarms = sum(
        compare_means(scores(a), scores(b), alpha=alpha).p_larger <= alpha for a, b in draws
    )

    # 4 standard errors of a share of 1,000 runs
    assert alarms / runs <= alpha + 4 * (alpha * (1 - alpha) / runs) ** 0.5


def test_too_few_and_constant_scores_have_no_test():
    with pytest.raises(MeasurementError, match="19 examples or clusters, at least 20"):
        compare_means(scores(range(19)), scores(range(30)), alpha=0.05)
    with pytest.raises(MeasurementError, match="no score differs from another"):
        compare_means(scores([1] * 30), scores([1] * 30), alpha=0.05)

"""Quantile tests: scipy, the published LoadGen numbers and a search through counts as oracles."""

import math

import numpy as np
import pytest
from scipy import stats

from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.quantile import (
    estimate_latency_quantile,
    estimate_quantile,
    examples_for_quantile,
    quantile_interval,
)

LEVELS = levels(0.05, 1)
VALUES = np.random.default_rng(6).gamma(2.0, size=400)


def estimate(values, quantile=0.95, limit=4.0):
    return estimate_quantile(values, quantile=quantile, limit=limit, levels=LEVELS)


@pytest.mark.parametrize("quantile", [0.5, 0.95, 0.99])
@pytest.mark.parametrize("limit", [1.5, 4.0, 6.0])
def test_p_values_equal_scipy(quantile, limit):
    found = estimate(VALUES, quantile, limit)
    over = int(np.sum(limit < VALUES))
    less, greater = (
        stats.binomtest(over, 400, 1 - quantile, alternative=side).pvalue
        for side in ("less", "greater")
    )
    assert (found.p_pass, found.p_fail) == pytest.approx((less, greater))
    for p, side in ((found.p_pass, "less"), (found.p_fail, "greater")):
        oracle = stats.quantile_test(VALUES, q=limit, p=quantile, alternative=side)
        assert p == pytest.approx(oracle.pvalue)
    assert found.counts == {"over": over}


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("n", [3, 20, 59, 60, 400])
def test_interval_equals_a_search_through_all_limits(n, quantile):
    values = VALUES[:n]
    limits = [-math.inf, *np.sort(values)]
    found = quantile_interval(values, quantile=quantile, alpha=0.05)
    shown = [limit for limit in limits if estimate(values, quantile, limit).p_pass <= 0.05]
    over = [limit for limit in limits if estimate(values, quantile, limit).p_fail <= 0.05]
    # Limits from one value up to the next have the same number above them.
    after = [limit for limit in limits if not over or limit > max(over)]
    assert found.high == min(shown, default=math.inf)
    assert found.low == (after[0] if over else -math.inf)


def test_interval_agrees_with_scipy():
    oracle = [
        stats.quantile_test(VALUES, p=0.95, alternative=side).confidence_interval(0.95)
        for side in ("less", "greater")
    ]
    found = estimate(VALUES)
    assert (found.low, found.high) == (oracle[1].low, oracle[0].high)
    assert found.low <= found.value <= found.high


@pytest.mark.parametrize(("quantile", "expected"), [(0.5, 5), (0.9, 29), (0.95, 59), (0.99, 299)])
def test_fewest_examples_have_a_closed_form(quantile, expected):
    assert expected == math.ceil(math.log(0.05) / math.log(quantile))
    assert examples_for_quantile(quantile, alpha=0.05) == expected
    for n, shows in ((expected - 1, False), (expected, True)):
        assert (estimate(np.zeros(n), quantile).p_pass <= 0.05) is shows
        assert math.isfinite(estimate(np.zeros(n), quantile).high) is shows


def test_a_value_at_the_limit_is_within():
    at, above = estimate(np.full(100, 4.0)), estimate(np.full(100, np.nextafter(4.0, 5.0)))
    assert (at.counts["over"], above.counts["over"]) == (0, 100)


def test_an_infinite_value_is_over_any_limit():
    found = estimate(np.array([math.inf] * 10 + [1.0] * 10), limit=1e300)
    assert found.counts["over"] == 10
    assert found.value == math.inf


def test_order_changes_nothing_and_a_looser_limit_is_easier():
    assert estimate(VALUES[::-1]) == estimate(VALUES)
    p = [estimate(VALUES, limit=limit).p_pass for limit in np.linspace(0, 9, 50)]
    assert np.all(np.diff(p) <= 0)


@pytest.mark.parametrize(
    ("n", "advice"), [(60, ", or limit p95 or lower"), (298, ", or limit p98 or lower"), (0, "")]
)
def test_p99_of_too_few_runs_is_refused(n, advice):
    with pytest.raises(UsageError) as error:
        estimate_latency_quantile(np.ones(n), quantile=0.99, limit=0.5, levels=LEVELS)
    assert str(error.value) == (
        f"p99 of {n} runs: 299 are needed to show anything at alpha = 0.05; measure more{advice}"
    )


def test_enough_runs_are_estimated():
    found = estimate_latency_quantile(np.ones(299), quantile=0.99, limit=1.5, levels=LEVELS)
    assert found == estimate(np.ones(299), 0.99, 1.5)


@pytest.mark.parametrize("values", [np.array([]), np.array([1.0, math.nan])])
def test_missing_numbers_are_an_error(values):
    expected = "value 1 of 2 is NaN" if values.size else "there are no values"
    with pytest.raises(MeasurementError, match=expected):
        estimate(values)


@pytest.mark.parametrize("quantile", [0.0, 1.0, 99.0, math.nan])
def test_a_quantile_lies_between_0_and_1(quantile):
    with pytest.raises(UsageError, match=f"the quantile is {quantile}"):
        estimate(VALUES, quantile)

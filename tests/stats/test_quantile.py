"""Quantiles: scipy and a search through counts as oracles."""

import math

import numpy as np
import pytest
from scipy import stats

from pytest_quantcheck.stats.quantile import examples_for_quantile, quantile_interval

VALUES = np.random.default_rng(6).gamma(2.0, size=400)


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("n", [3, 20, 59, 60, 400])
def test_interval_equals_a_search_through_all_limits(n, quantile):
    values = VALUES[:n]
    limits = [-math.inf, *np.sort(values)]
    over = [int(np.sum(values > limit)) for limit in limits]
    found = quantile_interval(values, quantile=quantile, alpha=0.05)
    shown = [
        limit
        for limit, k in zip(limits, over, strict=True)
        if stats.binom.cdf(k, n, 1 - quantile) <= 0.05
    ]
    failed = [
        limit
        for limit, k in zip(limits, over, strict=True)
        if stats.binom.sf(k - 1, n, 1 - quantile) <= 0.05
    ]
    # Limits from one value up to the next have the same number above them.
    after = [limit for limit in limits if not failed or limit > max(failed)]
    assert found.high == min(shown, default=math.inf)
    assert found.low == (after[0] if failed else -math.inf)


def test_interval_agrees_with_scipy():
    oracle = [
        stats.quantile_test(VALUES, p=0.95, alternative=side).confidence_interval(0.95)
        for side in ("less", "greater")
    ]
    found = quantile_interval(VALUES, quantile=0.95, alpha=0.05)
    assert (found.low, found.high) == (oracle[1].low, oracle[0].high)


def test_order_changes_nothing():
    forth, back = (quantile_interval(v, quantile=0.9, alpha=0.05) for v in (VALUES, VALUES[::-1]))
    assert forth == back


@pytest.mark.parametrize(("quantile", "expected"), [(0.5, 5), (0.9, 29), (0.95, 59), (0.99, 299)])
def test_fewest_examples_have_a_closed_form(quantile, expected):
    assert expected == math.ceil(math.log(0.05) / math.log(quantile))
    assert examples_for_quantile(quantile, alpha=0.05) == expected
    for n, shows in ((expected - 1, False), (expected, True)):
        high = quantile_interval(np.zeros(n), quantile=quantile, alpha=0.05).high
        assert math.isfinite(high) is shows

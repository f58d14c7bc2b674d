"""The p95 bootstrap: all resamples of few pairs and scipy as oracles; seeds; wrong times."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.p95_ratio import (
    PairedSeconds,
    estimate_p95_ratio,
    resample_p95_ratios,
)


def drawn(n=200, seed=7):
    rng = np.random.default_rng(seed)
    request, reference, variant = rng.normal(0, [[0.3], [0.1], [0.1]], (3, n))
    return PairedSeconds(
        reference=np.exp(request + reference), variant=1.2 * np.exp(request + variant)
    )


def estimate(pairs, limit=1.2, *, family=1, seed=0):
    return estimate_p95_ratio(
        pairs, limit=limit, levels=levels(0.05, family), rng=np.random.default_rng(seed)
    )


def test_resamples_fall_as_all_of_them_do():
    # The p95 of four times is their maximum. All 256 resamples of four pairs, equally likely.
    pairs = PairedSeconds(
        reference=np.array([1.0, 2.0, 4.0, 8.0]), variant=np.array([3.0, 1.0, 9.0, 5.0])
    )
    exact = [
        max(pairs.variant[list(kept)]) / max(pairs.reference[list(kept)])
        for kept in itertools.product(range(4), repeat=4)
    ]
    n_resamples = 20_000
    found = resample_p95_ratios(pairs, n_resamples=n_resamples, rng=np.random.default_rng(1))
    assert set(found) == set(exact)
    for ratio in set(exact):
        share = np.mean(np.array(exact) == ratio)
        slack = 4 * math.sqrt(share * (1 - share) / n_resamples)
        assert np.mean(found == ratio) == pytest.approx(share, abs=slack)


def test_interval_agrees_with_scipy():
    def ratio(reference, variant, axis):
        p95 = [
            np.quantile(seconds, 0.95, axis=axis, method="inverted_cdf")
            for seconds in (reference, variant)
        ]
        return p95[1] / p95[0]

    pairs = drawn()
    oracle = stats.bootstrap(
        (pairs.reference, pairs.variant), ratio, paired=True, n_resamples=4000,
        confidence_level=0.9, method="percentile", rng=np.random.default_rng(3),
    )  # fmt: skip
    found = estimate(pairs)
    assert found.value == ratio(pairs.reference, pairs.variant, 0)
    interval = oracle.confidence_interval
    width = interval.high - interval.low
    assert found.low == pytest.approx(interval.low, abs=0.15 * width)
    assert found.high == pytest.approx(interval.high, abs=0.15 * width)


@pytest.mark.parametrize("family", [1, 20])
def test_interval_ends_where_the_tests_do(family):
    pairs = drawn()
    found = estimate(pairs, family=family)
    for limit, name in ((found.low, "p_fail"), (found.high, "p_pass")):
        towards = 0.0 if name == "p_fail" else math.inf
        outside = np.nextafter(limit, towards)
        at = getattr(estimate(pairs, limit, family=family), name)
        beyond = getattr(estimate(pairs, float(outside), family=family), name)
        assert beyond <= 0.05 < at


def test_smaller_levels_take_more_resamples():
    assert "2,000 resamples" in estimate(drawn()).method
    found = estimate(drawn(), limit=0.5, family=20)
    assert "8,000 resamples" in found.method
    assert found.p_fail == 1 / 8001


def test_same_seed_gives_the_same_estimate_in_any_order():
    pairs, order = drawn(), np.random.default_rng(0).permutation(200)
    shuffled = PairedSeconds(reference=pairs.reference[order], variant=pairs.variant[order])
    assert estimate(shuffled) == estimate(pairs)
    assert estimate(pairs, seed=1).low != estimate(pairs).low


def test_common_delays_cancel_in_pairs_alone():
    pairs = drawn()
    unpaired = PairedSeconds(reference=pairs.reference, variant=np.roll(pairs.variant, 1))
    paired, broken = estimate(pairs), estimate(unpaired)
    assert paired.value == broken.value
    assert paired.high - paired.low < 0.9 * (broken.high - broken.low)


def test_p_values_are_monotone_in_the_limit():
    p = [estimate(drawn(), limit) for limit in np.linspace(0.8, 1.6, 41)]
    assert np.all(np.diff([found.p_pass for found in p]) <= 0)
    assert np.all(np.diff([found.p_fail for found in p]) >= 0)


def test_exchanging_the_models_inverts_the_ratio():
    pairs = drawn()
    swapped = PairedSeconds(reference=pairs.variant, variant=pairs.reference)
    one, other = estimate(pairs), estimate(swapped)
    assert 1 / one.value == pytest.approx(other.value)
    assert (1 / one.high, 1 / one.low) == pytest.approx((other.low, other.high), rel=0.05)


def test_too_few_pairs_are_refused():
    with pytest.raises(UsageError, match="99 pairs of runs: a p95 ratio takes 100 or more"):
        estimate(drawn(99))
    assert estimate(drawn(100)).n == 100


def test_half_a_pair_is_an_error():
    pairs = PairedSeconds(reference=np.ones(120), variant=np.ones(119))
    with pytest.raises(MeasurementError, match="120 times of the reference and 119 of the variant"):
        estimate(pairs)


@pytest.mark.parametrize("model", ["reference", "variant"])
@pytest.mark.parametrize("wrong", [0.0, math.nan, math.inf])
def test_impossible_times_are_an_error(model, wrong):
    pairs = drawn()
    getattr(pairs, model)[7] = wrong
    with pytest.raises(MeasurementError, match=f"run 7 of the {model} took {wrong} seconds"):
        estimate(pairs)


@pytest.mark.parametrize("limit", [0.0, math.nan, math.inf])
def test_the_limit_is_above_0(limit):
    with pytest.raises(UsageError, match=f"the p95 ratio is limited to {limit}"):
        estimate(drawn(), limit)


def test_many_pairs_are_drawn_too():
    pairs = drawn(40_000)  # more than 16 bits count
    found = resample_p95_ratios(pairs, n_resamples=30, rng=np.random.default_rng(0))
    assert found.shape == (30,)
    assert np.mean(found) == pytest.approx(1.2, rel=0.02)

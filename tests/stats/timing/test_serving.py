"""Verdicts on ratios and throughput: closed forms, looks, and times that tell nothing."""

import math
from dataclasses import replace

import numpy as np
import pytest
from timed import loads, pairs

from pytest_quantcheck.core.grammar import parse_limit
from pytest_quantcheck.core.latency import Stop
from pytest_quantcheck.core.verdict import Outcome, Reason
from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.latency import log_ratios, rank_signed
from pytest_quantcheck.stats.serving import LatencyWatch, judge_latency
from pytest_quantcheck.stats.timing.times import timed_runs

LEVELS = levels(0.05, 1)
NOISE = np.random.default_rng(4).normal(0, 0.02, (2, 400))


def noisy(ratio, n, **options):
    """Return pairs of 100 ms and `ratio` times as much, with 2 % noise."""
    reference, variant = 0.1 * np.exp(NOISE[:, :n])
    return pairs(reference, ratio * variant, **options)


def judge(keyword, value, samples, family=1):
    return judge_latency(parse_limit(keyword, value), samples, levels=levels(0.05, family))


@pytest.mark.parametrize("metric", ["ttft", "tpot", "e2e"])
def test_without_early_looks_the_verdict_is_that_of_signed_ranks(metric):
    samples = noisy(1.03, 60, looks=())
    verdict = judge(f"max_{metric}_ratio", 1.03, samples)
    oracle = rank_signed(log_ratios(timed_runs(samples, metric, n=60)))
    interval = oracle.invert(alpha=0.05)

    found = verdict.estimate
    ends = math.exp(interval.low), math.exp(interval.high)
    assert (found.value, found.low, found.high) == (math.exp(oracle.pseudo_median), *ends)
    limit = math.log(1.03)
    assert (found.p_pass, found.p_fail) == (oracle.p_pass(limit), oracle.p_fail(limit))
    assert found.n == 60
    assert verdict.levels == LEVELS


@pytest.mark.parametrize(
    ("ratio", "limit", "outcome", "reason"),
    [
        (1.0, 1.1, Outcome.PASS, Reason.SHOWN_WITHIN),
        (1.2, 1.1, Outcome.FAIL, Reason.SHOWN_OVER),
        (1.1, 1.1, Outcome.INCONCLUSIVE, Reason.NOT_ENOUGH_EVIDENCE),
        (0.7, 0.8, Outcome.PASS, Reason.SHOWN_WITHIN),
        (0.9, 0.8, Outcome.FAIL, Reason.SHOWN_OVER),
    ],
)
def test_limits_on_either_side_of_1_are_decided(ratio, limit, outcome, reason):
    verdict = judge("max_e2e_ratio", limit, noisy(ratio, 60))

    assert (verdict.outcome, verdict.reason) == (outcome, reason)
    estimate = verdict.estimate
    assert estimate.low <= estimate.value <= estimate.high
    if outcome is Outcome.PASS:
        assert estimate.high <= limit
        assert estimate.p_pass <= 0.05
    if outcome is Outcome.FAIL:
        assert estimate.low > limit
        assert estimate.p_fail <= 0.05


def test_throughput_is_the_inverse_of_the_whole_request():
    samples = noisy(1.04, 60)
    rate, time = (
        judge("min_throughput_ratio", 1 / 1.1, samples), judge("max_e2e_ratio", 1.1, samples)
    )  # fmt: skip

    assert rate.outcome is time.outcome is Outcome.PASS
    assert rate.estimate.value == pytest.approx(1 / time.estimate.value)
    assert rate.estimate.low == pytest.approx(1 / time.estimate.high)
    assert rate.estimate.high == pytest.approx(1 / time.estimate.low)
    assert (rate.estimate.p_pass, rate.estimate.n) == (time.estimate.p_pass, time.estimate.n)


def test_a_throughput_that_must_rise_can_fail():
    verdict = judge("min_throughput_ratio", 1.5, noisy(1.0, 60))

    assert verdict.outcome is Outcome.FAIL
    assert verdict.estimate.high < 1.5
    assert verdict.power_at == pytest.approx(1.4)


@pytest.mark.parametrize("limit", [0.9, 1.0, 1.02, 1.2])
def test_exchanging_the_models_exchanges_pass_and_fail(limit):
    samples = noisy(1.03, 40)
    swapped = replace(samples, is_variant=tuple(not side for side in samples.is_variant))
    one, other = judge("max_e2e_ratio", limit, samples), judge("max_e2e_ratio", 1 / limit, swapped)

    expected = {Outcome.PASS: Outcome.FAIL, Outcome.FAIL: Outcome.PASS}
    assert other.outcome is expected.get(one.outcome, one.outcome)
    assert one.estimate.value == pytest.approx(1 / other.estimate.value)


def test_a_looser_limit_is_never_worse():
    order = {Outcome.FAIL: 0, Outcome.INCONCLUSIVE: 1, Outcome.PASS: 2}
    for is_final in (False, True):
        samples = noisy(1.03, 60, looks=() if is_final else None)
        found = [
            order[judge("max_e2e_ratio", limit, samples).outcome]
            for limit in np.linspace(0.98, 1.08, 51)
        ]
        assert found == sorted(found)
        assert set(found) == {0, 1, 2}


def test_the_first_look_that_decides_is_the_verdict():
    samples = noisy(1.2, 60)
    verdict = judge("max_e2e_ratio", 1.05, samples)

    # 2**-12 is above what may be spent after 12 of 60 pairs; 2**-18 is below what may after 18.
    assert verdict.estimate.n == 18
    first = noisy(1.2, 18, n_planned=60)
    assert judge("max_e2e_ratio", 1.05, first) == verdict
    assert verdict.estimate.value == pytest.approx(
        math.exp(rank_signed(NOISE[1, :18] - NOISE[0, :18] + math.log(1.2)).pseudo_median)
    )


def test_later_blocks_change_no_verdict():
    samples = noisy(1.2, 60)
    late = tuple(
        replace(run, e2e_seconds=0.01) if block >= 18 and is_variant else run
        for run, block, is_variant in zip(
            samples.runs, samples.blocks, samples.is_variant, strict=True
        )
    )

    assert judge("max_e2e_ratio", 1.05, replace(samples, runs=late)).outcome is Outcome.FAIL


def test_a_larger_family_needs_more_pairs_to_fail_and_none_to_pass():
    ns = [judge("max_e2e_ratio", 1.05, noisy(1.2, 60), family).estimate.n for family in (1, 20)]
    assert ns == [18, 24]
    ns = [judge("max_e2e_ratio", 1.5, noisy(1.2, 60), family).estimate.n for family in (1, 20)]
    assert ns == [18, 18]


def test_a_watch_stops_where_the_verdict_falls():
    limits = [parse_limit("max_e2e_ratio", 1.05), parse_limit("max_e2e_ratio", 1.5)]
    watch = LatencyWatch(limits, levels(0.05, 20))
    for n in (12, 18, 24):
        batch = noisy(1.2, n, n_planned=60)
        is_enough = watch.update(replace(batch, looks=(*batch.looks, n)))
        assert is_enough is (n == 24)

    whole = noisy(1.2, 60)
    for limit in limits:
        assert watch.settled[limit] == judge_latency(limit, whole, levels=levels(0.05, 20))
        assert watch.verdict(limit, whole) is watch.settled[limit]


def test_what_no_look_decided_the_last_one_does():
    limit, watch = parse_limit("max_e2e_ratio", 1.03), LatencyWatch([], LEVELS)

    assert watch.verdict(limit, noisy(1.03, 60)) == judge("max_e2e_ratio", 1.03, noisy(1.03, 60))


def test_a_watch_of_nothing_has_enough_at_once():
    assert LatencyWatch([], LEVELS).update(noisy(1.0, 12, n_planned=60))


def test_the_time_limit_makes_a_look_the_last():
    cut = noisy(1.03, 30, n_planned=60, stopped=Stop.SECONDS)
    going = noisy(1.03, 30, n_planned=60)
    limits = np.linspace(1.0, 1.03, 31)

    for_good, so_far = (
        [judge("max_e2e_ratio", limit, one).outcome for limit in limits] for one in (cut, going)
    )

    assert for_good.count(Outcome.FAIL) > so_far.count(Outcome.FAIL) > 0
    assert Outcome.PASS not in for_good + so_far


def test_too_few_pairs_decide_nothing():
    samples = noisy(2.0, 11, n_planned=60, stopped=Stop.SECONDS)
    verdict = judge("max_e2e_ratio", 1.05, samples)

    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, Reason.TOO_FEW_RUNS)
    assert verdict.note == "a ratio takes 12 pairs of runs, there are 11; allow more seconds"
    assert verdict.needed_n == 12


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_a_handful_of_pairs_has_no_scatter_to_plan_with(n):
    found = judge("max_e2e_ratio", 1.05, noisy(2.0, n, n_planned=60, stopped=Stop.SECONDS))

    assert (found.reason, found.needed_n, found.power) == (Reason.TOO_FEW_RUNS, None, None)
    assert (found.estimate.low, found.estimate.high) == (0.0, math.inf)


def test_twelve_pairs_can_pass_and_fail():
    assert judge("max_e2e_ratio", 1.2, noisy(1.0, 12)).outcome is Outcome.PASS
    assert judge("max_e2e_ratio", 1.2, noisy(1.5, 12)).outcome is Outcome.FAIL


def test_loads_give_one_value_a_block():
    reference = 0.1 * np.exp(NOISE[0, :64].reshape(8, 8))
    variant = 0.12 * np.exp(NOISE[1, :64].reshape(8, 8))
    verdict = judge("max_e2e_ratio", 1.05, loads(reference, variant))

    assert (verdict.outcome, verdict.estimate.n) == (Outcome.FAIL, 8)
    medians = np.median(np.log(variant), axis=1) - np.median(np.log(reference), axis=1)
    expected = math.exp(rank_signed(medians).pseudo_median)
    assert verdict.estimate.value == pytest.approx(expected)
    few = loads(reference[:7], variant[:7])
    assert judge("max_e2e_ratio", 1.05, few).note == (
        "a ratio takes 8 blocks of loads, there are 7; allow more seconds"
    )


def test_a_clock_that_shows_equal_times_decides_nothing():
    samples = pairs(np.full(60, 0.1), np.full(60, 0.1))
    verdict = judge("max_e2e_ratio", 1.3, samples)

    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, Reason.COARSE_CLOCK)
    assert "exactly as long in 60 of 60 blocks" in verdict.note
    # So that Holm's list does not have it.
    assert (verdict.estimate.p_pass, verdict.estimate.p_fail) == (1.0, 1.0)


def test_some_equal_times_are_ties():
    variant = np.where(np.arange(60) < 30, 0.1, 0.11)
    verdict = judge("max_e2e_ratio", 1.2, pairs(np.full(60, 0.1), variant))

    assert verdict.outcome is Outcome.PASS


def test_a_constant_ratio_is_decided_with_an_interval_of_no_width():
    verdict = judge("max_e2e_ratio", 1.2, pairs(np.full(60, 0.1), np.full(60, 0.11)))

    assert verdict.outcome is Outcome.PASS
    assert (verdict.estimate.low, verdict.estimate.high) == pytest.approx((1.1, 1.1))
    assert verdict.power == 1.0


def test_a_constant_ratio_at_the_limit_shows_neither():
    verdict = judge("max_e2e_ratio", 0.5, pairs(np.full(60, 0.2), np.full(60, 0.1)))

    assert (verdict.outcome, verdict.needed_n) == (Outcome.INCONCLUSIVE, None)


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan, math.inf])
def test_impossible_times_are_an_error(seconds):
    variant = np.full(60, 0.1)
    variant[7] = seconds
    with pytest.raises(MeasurementError, match="where a finite time above 0 was expected"):
        judge("max_e2e_ratio", 1.2, pairs(np.full(60, 0.1), variant))


def test_one_token_has_no_time_per_token():
    samples = pairs(np.full(60, 0.1), np.full(60, 0.1), new_tokens=1)
    for keyword, value in (("max_tpot_ratio", 1.2), ("max_tpot_p95_ms", 60)):
        with pytest.raises(UsageError, match="tpot was asked for, but each request got one token"):
            judge(keyword, value, samples)


def test_no_runs_are_an_error():
    with pytest.raises(MeasurementError, match="no run was timed"):
        judge("max_e2e_ratio", 1.2, pairs([], [], n_planned=60))


def test_needed_pairs_have_the_power_they_promise():
    samples = noisy(1.02, 60)
    needed = judge("max_e2e_ratio", 1.01, samples).needed_n
    value = judge("max_e2e_ratio", 1.01, samples).estimate.value
    rng, shown = np.random.default_rng(2), 0
    for _ in range(100):
        reference, variant = 0.1 * np.exp(rng.normal(0, 0.02, (2, needed)))
        found = judge("max_e2e_ratio", 1.01, pairs(reference, value * variant, looks=()))
        shown += found.outcome is Outcome.FAIL

    assert 0.6 < shown / 100 < 0.97  # the scatter of 60 pairs is an estimate too


def test_teeth_are_those_of_all_planned_pairs():
    sharp = judge("max_e2e_ratio", 1.05, noisy(1.0, 60))
    blunt = judge("max_e2e_ratio", 1.05, noisy(1.0, 12), 1000)

    assert sharp.power_at == blunt.power_at == pytest.approx(1.15)
    assert sharp.power > 0.99
    assert blunt.power == 0.0  # 2**-12 is above 0.05/1000
    assert blunt.note == "in so large a family FAIL takes 15 pairs of runs; 12 were planned"
    assert not sharp.note

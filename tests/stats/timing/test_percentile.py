"""Percentiles in milliseconds: the binomial rule, too few runs, runs that depend on each other."""

import doctest

import numpy as np
import pytest
from scipy import stats
from timed import loads, pairs

from pytest_quantcheck.core.grammar import parse_limit
from pytest_quantcheck.core.latency import Stop
from pytest_quantcheck.core.verdict import Outcome, Reason
from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.quantile import quantile_interval
from pytest_quantcheck.stats.serving import judge_latency
from pytest_quantcheck.stats.timing import percentile
from pytest_quantcheck.stats.timing.percentile import (
    RunsOver,
    check_repeats,
    independent_share,
    needed_runs,
)

LEVELS = levels(0.05, 1)
TIMES = 0.1 * np.exp(np.random.default_rng(8).normal(0, 0.1, 400))


def timed(n, times=TIMES, **options):
    return pairs(np.full(n, 0.1), times[:n], **({"looks": ()} | options))


def judge(percent, value, samples, family=1):
    limit = parse_limit(f"max_e2e_p{percent}_ms", value)
    return judge_latency(limit, samples, levels=levels(0.05, family))


@pytest.mark.parametrize("percent", [50, 90, 95, 99])
@pytest.mark.parametrize("limit", [90.0, 105.0, 120.0, 130.0])
def test_independent_runs_are_tested_as_the_binomial_rule_says(percent, limit):
    found, values = judge(percent, limit, timed(300)).estimate, 1000 * TIMES[:300]
    interval = quantile_interval(values, quantile=percent / 100, alpha=0.05)
    over = int(np.sum(values > limit))

    assert found.value == np.quantile(values, percent / 100, method="inverted_cdf")
    assert (found.low, found.high) == (interval.low, interval.high)
    for p, side in ((found.p_pass, "less"), (found.p_fail, "greater")):
        oracle = stats.binomtest(over, 300, 1 - percent / 100, alternative=side)
        assert p == pytest.approx(oracle.pvalue)
        tested = stats.quantile_test(values, q=limit, p=percent / 100, alternative=side)
        assert p == pytest.approx(tested.pvalue)
    assert (found.n, found.counts) == (300, {"over": over})


@pytest.mark.parametrize(
    ("percent", "limit", "outcome"),
    [(95, 150, Outcome.PASS), (95, 100, Outcome.FAIL), (95, 118, Outcome.INCONCLUSIVE)],
)
def test_the_variant_alone_counts(percent, limit, outcome):
    verdict = judge(percent, limit, timed(120))

    assert verdict.outcome is outcome
    assert (verdict.needed_n is not None) is (outcome is Outcome.INCONCLUSIVE)


def test_the_fewest_runs_pass_although_it_was_looked_early():
    # Before 59 runs no p95 can pass, so that early looks spend nothing of its alpha.
    verdict = judge(95, 1000, timed(60, looks=None))

    assert (verdict.outcome, verdict.estimate.n) == (Outcome.PASS, 60)
    assert verdict.estimate.p_pass == pytest.approx(0.95**60)


def test_gross_excess_ends_early():
    verdict = judge(95, 20, timed(60, looks=None))

    # Not before 30 runs, of which one can see whether they depend on each other.
    assert (verdict.outcome, verdict.estimate.n) == (Outcome.FAIL, 30)


def test_too_few_runs_say_how_many_it_takes():
    verdict = judge(99, 1000, timed(60, stopped=Stop.SECONDS))

    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, Reason.TOO_FEW_RUNS)
    assert verdict.note == "p99 of 60 runs: 299 are needed to show anything"
    assert verdict.needed_n == 299
    assert verdict.estimate.high == np.inf


def test_too_few_runs_can_fail():
    assert judge(99, 100, timed(60)).outcome is Outcome.FAIL


def test_one_slow_run_fails_nothing():
    verdict = judge(99, 110, timed(1, times=np.array([0.2]), stopped=Stop.SECONDS))

    assert verdict.outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(("percent", "needed"), [(50, 5), (90, 29), (95, 59), (99, 299)])
def test_repeats_that_never_suffice_are_refused(percent, needed):
    limit = parse_limit(f"max_tpot_p{percent}_ms", 60)

    assert needed_runs(limit, levels=LEVELS) == needed
    check_repeats(limit, needed, levels=LEVELS)
    with pytest.raises(UsageError, match=f"{needed} are needed .* set repeats={needed} or more"):
        check_repeats(limit, needed - 1, levels=LEVELS)


def test_a_refusal_names_a_percentile_that_would_do():
    limit = parse_limit("max_tpot_p99_ms", 60)
    with pytest.raises(UsageError, match="or limit p95 or lower"):
        check_repeats(limit, 60, levels=LEVELS)
    with pytest.raises(UsageError, match=r"repeats=299 or more$"):
        check_repeats(limit, 0, levels=LEVELS)


def sticky(n, memory, rng):
    """Return times whose logarithms are autoregressive."""
    noise = rng.normal(0, 0.1 * (1 - memory**2) ** 0.5, n)
    for i in range(1, n):
        noise[i] += memory * noise[i - 1]
    return 0.1 * np.exp(noise)


def test_runs_that_depend_on_each_other_count_as_fewer():
    times = sticky(60, 0.95, np.random.default_rng(0))
    verdict = judge(95, 1000, timed(60, times=times))

    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, Reason.DEPENDENT_RUNS)
    assert verdict.note.startswith("neighbouring runs are alike")
    assert verdict.needed_n > 60


@pytest.mark.parametrize("memory", [0.5, 0.9])
def test_the_share_is_that_of_an_autoregressive_series(memory):
    times = sticky(20_000, memory, np.random.default_rng(1))

    # Ranks correlate a little less than the values.
    assert independent_share(times) == pytest.approx((1 - memory) / (1 + memory), rel=0.15)


def test_independent_runs_and_constant_ones_count_fully():
    assert independent_share(TIMES) == 1.0
    assert independent_share(np.full(60, 0.1)) == 1.0
    assert independent_share(TIMES[:7]) == 1.0


@pytest.mark.parametrize("weight", [1.0, 0.37])
def test_the_interval_holds_what_neither_test_rejects(weight):
    tests = RunsOver(n=120, share=0.1, weight=weight)
    values = np.sort(TIMES[:120])
    found = tests.interval(values, low=0.05, high=0.05)

    over = {limit: np.array(np.count_nonzero(values > limit)) for limit in values}
    passing = [limit for limit in values if tests.p_pass(over[limit]) <= 0.05]
    failing = [limit for limit in values if tests.p_fail(over[limit]) <= 0.05]
    assert found.high == min(passing)
    assert found.low == values[values > max(failing)][0]


def test_fewer_independent_runs_are_never_stricter():
    over = np.arange(61)
    full, fewer = (RunsOver(n=60, share=0.05, weight=weight) for weight in (1.0, 0.5))

    assert np.all(fewer.p_pass(over) <= 1)
    assert fewer.p_pass(np.array(0)) > full.p_pass(np.array(0))
    assert fewer.p_fail(np.array(60)) > full.p_fail(np.array(60))


def test_loads_use_every_run_of_the_variant():
    reference, variant = np.full((8, 8), 0.1), TIMES[:64].reshape(8, 8)
    limit = parse_limit("max_e2e_p95_ms", 1000)
    verdict = judge_latency(limit, loads(reference, variant), levels=LEVELS)

    assert (verdict.outcome, verdict.estimate.n) == (Outcome.PASS, 64)


def test_a_percentile_has_teeth_where_its_runs_would_be_slower_by_a_tenth():
    narrow = judge(95, 150, timed(60, times=0.1 + 0.001 * TIMES))

    assert narrow.power_at == pytest.approx(165.0)
    assert narrow.power > 0.99


def test_a_time_that_is_no_number_is_an_error():
    times = np.array([*TIMES[:30], np.nan])
    with pytest.raises(MeasurementError, match="run 30 took nan ms"):
        judge(95, 100, timed(31, times=times))


def test_no_number_of_runs_tells_on_which_side_of_the_limit_a_percentile_at_it_is():
    times = np.where(np.arange(60) % 20 == 7, 0.2, 0.1 + 1e-4 * TIMES[:60])
    verdict = judge(95, 150, timed(60, times=times))

    assert verdict.estimate.counts["over"] == 3
    assert (verdict.outcome, verdict.needed_n) == (Outcome.INCONCLUSIVE, None)


def test_examples_in_docstrings_run():
    assert doctest.testmod(percentile).attempted > 4
    assert doctest.testmod(percentile).failed == 0

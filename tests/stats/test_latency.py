"""Signed ranks: scipy, all signs and brute force as oracles; blocks; wrong runs."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.stats.latency import TimedRuns, log_ratios, rank_signed

VALUES = np.random.default_rng(9).normal(0.02, 0.03, 300)


def paired(ratios, reference=0.2):
    """Return pairs, reference first, with these ratios."""
    n = len(ratios)
    seconds = np.column_stack([np.full(n, reference), reference * np.asarray(ratios)]).ravel()
    return TimedRuns(
        seconds=seconds, is_variant=np.tile([False, True], n), blocks=np.repeat(np.arange(n), 2)
    )


@pytest.mark.parametrize("n", [1, 5, 12, 60, 100, 101, 300])
@pytest.mark.parametrize("limit", [0.0, 0.02, 0.03])
def test_p_values_equal_scipy(n, limit):
    found = rank_signed(VALUES[:n])
    options = {"method": "exact"} if n <= 100 else {"method": "asymptotic", "correction": True}
    for p, side in ((found.p_pass(limit), "less"), (found.p_fail(limit), "greater")):
        oracle = stats.wilcoxon(VALUES[:n] - limit, alternative=side, **options)
        assert p == pytest.approx(oracle.pvalue, rel=1e-12)


@pytest.mark.parametrize("limit", [-1.0, 0.0, 0.5, 1.0, 2.0])
def test_ties_and_values_at_the_limit_share_ranks_as_zsplit_does(limit):
    values = np.array([-1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 2.0, 3.0, 3.0, -2.0, 5.0, 4.0])
    found = rank_signed(values)
    ranks = stats.rankdata(np.abs(values - limit))
    positive = np.sum(ranks[values > limit]) + np.sum(ranks[values == limit]) / 2
    assert found.p_fail(limit) == found.tail[math.floor(positive)]
    assert found.p_pass(limit) == found.tail[math.floor(78 - positive)]


@pytest.mark.parametrize("n", [1, 4, 9])
def test_distribution_is_that_of_all_signs(n):
    sums = [sum(kept) for kept in itertools.product(*((0, rank) for rank in range(1, n + 1)))]
    expected = [np.mean(np.array(sums) >= t) for t in range(n * (n + 1) // 2 + 1)]
    assert rank_signed(VALUES[:n]).tail == pytest.approx(expected, rel=1e-12)


def test_normal_tail_continues_the_exact_one():
    exact, normal = rank_signed(VALUES[:100]), rank_signed(VALUES[:101])
    for alpha in (0.05, 0.0025):
        relative = [
            np.count_nonzero(found.tail > alpha) / found.walsh.size for found in (exact, normal)
        ]
        assert relative[0] == pytest.approx(relative[1], abs=2e-3)


@pytest.mark.parametrize("n", [4, 5, 12, 60, 150])
def test_interval_ends_where_the_tests_do(n):
    found = rank_signed(VALUES[:n])
    interval = found.invert(alpha=0.05)
    tiny = 1e-9
    if n == 4:  # 1/16 > 0.05: no sum of ranks rejects
        assert (interval.low, interval.high) == (-math.inf, math.inf)
        return
    assert found.p_fail(interval.low - tiny) <= 0.05 < found.p_fail(interval.low + tiny)
    assert found.p_pass(interval.high + tiny) <= 0.05 < found.p_pass(interval.high - tiny)


def test_estimate_is_the_median_of_all_pairs():
    values = VALUES[:12]
    pairs = [(values[i] + values[j]) / 2 for i in range(12) for j in range(i, 12)]
    assert rank_signed(values).pseudo_median == pytest.approx(np.median(pairs), rel=1e-12)


def test_p_values_are_monotone_in_the_limit():
    found = rank_signed(np.round(VALUES[:40], 2))
    limits = np.round(np.linspace(-0.1, 0.1, 401), 4)
    assert np.all(np.diff([found.p_pass(limit) for limit in limits]) <= 0)
    assert np.all(np.diff([found.p_fail(limit) for limit in limits]) >= 0)


def test_exchanging_the_models_turns_the_test_around():
    runs = paired(np.exp(VALUES[:30]))
    swapped = TimedRuns(seconds=runs.seconds, is_variant=~runs.is_variant, blocks=runs.blocks)
    one, other = (rank_signed(log_ratios(timed)) for timed in (runs, swapped))
    here, there = one.invert(alpha=0.05), other.invert(alpha=0.05)
    assert (one.pseudo_median, here.low, here.high) == pytest.approx(
        (-other.pseudo_median, -there.high, -there.low)
    )
    assert (one.p_pass(0.03), one.p_fail(0.03)) == pytest.approx(
        (other.p_fail(-0.03), other.p_pass(-0.03))
    )


def test_order_of_runs_changes_nothing():
    runs, order = paired(np.exp(VALUES[:30])), np.random.default_rng(0).permutation(60)
    shuffled = TimedRuns(
        seconds=runs.seconds[order], is_variant=runs.is_variant[order], blocks=runs.blocks[order]
    )
    assert log_ratios(shuffled).tolist() == log_ratios(runs).tolist()


def test_blocks_of_several_runs_give_their_medians():
    seconds = np.array([1.0, 2.0, 9.0, 3.0, 4.0, 1.0, 4.0, 16.0])
    is_variant = np.array([False, True, False, True, False, True, True, False])
    found = log_ratios(
        TimedRuns(seconds=seconds, is_variant=is_variant, blocks=np.array([0] * 4 + [1] * 4))
    )
    # Medians of logarithms: √6 over 3 in the first block, 2 over 8 in the second.
    assert found == pytest.approx([math.log(math.sqrt(6) / 3), math.log(2 / 8)])


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, math.inf])
def test_impossible_times_are_an_error(wrong):
    runs = paired(np.ones(12))
    runs.seconds[3] = wrong
    with pytest.raises(MeasurementError, match=r"run 3 took .* seconds, where a finite time above"):
        log_ratios(runs)


@pytest.mark.parametrize(("model", "is_variant"), [("variant", False), ("reference", True)])
def test_a_block_without_one_of_the_models_is_an_error(model, is_variant):
    runs = paired(np.ones(12))
    runs.is_variant[runs.blocks == 5] = is_variant
    with pytest.raises(MeasurementError, match=f"block 5 has no run of the {model}"):
        log_ratios(runs)

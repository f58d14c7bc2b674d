"""Error and power of latency ratios in noise that has a memory, through the shipped functions."""

import itertools
import math

import numpy as np
import pytest

from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.latency import TimedRuns, estimate_latency_ratio, rank_signed

LEVELS = levels(0.05, 1)
PAIRS = 60


def independent(rng, n):
    return rng.normal(0, 0.02, n)


def autocorrelated(memory):
    def draw(rng, n):
        innovations = rng.normal(0, 0.02 * math.sqrt(1 - memory**2), n)
        innovations[0] = rng.normal(0, 0.02)
        return np.array(list(itertools.accumulate(innovations, lambda x, e: memory * x + e)))

    return draw


def drift(rng, n):
    return np.linspace(0, 0.05, n) + independent(rng, n)


def throttle(rng, n):
    return 0.08 * (np.arange(n) > rng.integers(n)) + independent(rng, n)


def everything(rng, n):
    return drift(rng, n) + throttle(rng, n) + autocorrelated(0.8)(rng, n) + (
        (rng.random(n) < 0.02) * rng.exponential(0.5, n)
    )  # fmt: skip


def ticks(rng, n):
    """Return noise as a clock shows it that ticks every 2 %."""
    return np.log(np.maximum(np.round(50 * np.exp(independent(rng, n))), 1) / 50)


NOISE = {
    "independent, 2 %": independent,
    "autocorrelation .8": autocorrelated(0.8),
    "autocorrelation .98": autocorrelated(0.98),
    "drift of 5 %": drift,
    "throttling by 8 %": throttle,
    "all of these and spikes": everything,
    "clock ticks of 2 %": ticks,
}


def timed(noise, rng, *, ratio, per_block):
    """Return 60 runs of either model in blocks of AB or BA, or of ABBA or BAAB."""
    n_blocks = 2 * PAIRS // per_block
    first = rng.random(n_blocks) < 0.5
    pattern = np.array([False, True] if per_block == 2 else [False, True, True, False])
    is_variant = (pattern[None, :] ^ first[:, None]).ravel()
    seconds = 0.1 * np.exp(noise(rng, 2 * PAIRS) + math.log(ratio) * is_variant)
    blocks = np.repeat(np.arange(n_blocks), per_block)
    return TimedRuns(seconds=seconds, is_variant=is_variant, blocks=blocks)


def rates(noise, *, excess, runs, seed, per_block=2):
    """Return shares of PASS and of FAIL where the true ratio is the limit, 1, times 1 + excess."""
    rng = np.random.default_rng(seed)
    passed = failed = 0
    for _ in range(runs):
        drawn = timed(noise, rng, ratio=1 + excess, per_block=per_block)
        found = estimate_latency_ratio(drawn, limit=1.0, levels=LEVELS)
        passed += found.p_pass <= LEVELS.alpha_pass
        failed += found.p_fail <= LEVELS.alpha_fail
    return passed / runs, failed / runs


@pytest.mark.parametrize("per_block", [2, 4])
@pytest.mark.parametrize("name", NOISE)
def test_few_verdicts_at_the_limit_are_wrong(name, per_block):
    runs = 600
    found = rates(NOISE[name], excess=0.0, runs=runs, seed=12, per_block=per_block)
    assert max(found) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


def test_two_percent_are_shown():
    assert rates(independent, excess=0.02, runs=200, seed=13)[1] > 0.95
    assert rates(independent, excess=-0.02, runs=200, seed=14)[0] > 0.95


@pytest.mark.parametrize(
    "sizes",
    [
        [0.5, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144],
        [1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3],
        [0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2],
    ],
)
def test_level_holds_for_every_way_that_orders_can_fall(sizes):
    # At the limit a random order gives each value either sign: all 4,096 ways.
    wrong = [0, 0]
    for signs in itertools.product((-1.0, 1.0), repeat=12):
        found = rank_signed(np.array(sizes) * signs)
        wrong[0] += found.p_pass(0.0) <= 0.05
        wrong[1] += found.p_fail(0.0) <= 0.05
    assert 0 < max(wrong) <= 0.05 * 4096

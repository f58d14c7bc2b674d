"""Error and power of latency ratios in noise that has a memory, through the shipped functions."""

import math

import numpy as np
from scipy import signal
from tabulation import Table

from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.latency import TimedRuns, log_ratios, rank_signed

LEVELS = levels(0.05, 1)
PAIRS = 60
"""Runs of either model."""


def independent(rng, n):
    return rng.normal(0, 0.02, n)


def autocorrelated(memory):
    def draw(rng, n):
        innovations = rng.normal(0, 0.02 * math.sqrt(1 - memory**2), n)
        innovations[0] = rng.normal(0, 0.02)
        return signal.lfilter([1.0], [1.0, -memory], innovations)

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


def rates(noise, runs, rng, *, excess, per_block=2):
    """Return shares of PASS and of FAIL where the true ratio is the limit, 1, times 1 + excess."""
    passed = failed = 0
    for _ in range(runs):
        drawn = timed(noise, rng, ratio=1 + excess, per_block=per_block)
        found = rank_signed(log_ratios(drawn))
        passed += found.p_pass(0.0) <= LEVELS.alpha_pass
        failed += found.p_fail(0.0) <= LEVELS.alpha_fail
    return {"pass": passed / runs, "fail": failed / runs}


def measure_ratio(cell, runs, rng):
    noise = NOISE[cell["noise"]]
    pairs, slower = (rates(noise, runs, rng, excess=excess) for excess in (0.0, 0.02))
    blocks = rates(noise, runs, rng, excess=0.0, per_block=4)
    return {
        "false_pass": pairs["pass"],
        "false_fail": pairs["fail"],
        "power": slower["fail"],
        "blocks_false_pass": blocks["pass"],
        "blocks_false_fail": blocks["fail"],
    }


PROTOTYPE = {
    "independent, 2 %": (".050", "1.00", ".051"),
    "autocorrelation .8": (".051", "1.00", ".052"),
    "autocorrelation .98": (".049", "1.00", ".049"),
    "drift of 5 %": (".050", "1.00", ".051"),
    "throttling by 8 %": (".050", "1.00", ".052"),
    "all of these and spikes": (".051", "1.00", ".051"),
}
"""Error and power of pairs, and error of blocks; its spikes came alone, ours on top of the rest."""

TABLES = {
    "latency-ratio": Table(
        cells=[
            {"noise": name}
            | dict(zip(("pairs", "slower", "blocks"), PROTOTYPE.get(name, ()), strict=False))
            for name in NOISE
        ],
        measure=measure_ratio,
        columns={
            "noise": "{noise}",
            "pairs: false PASS / false FAIL": "{false_pass:.3f} / {false_fail:.3f}",
            "prototype": "{pairs}",
            "power at +2 %": "{power:.2f}",
            "prototype ": "{slower}",
            "blocks: false PASS / false FAIL": "{blocks_false_pass:.3f} / {blocks_false_fail:.3f}",
            "prototype  ": "{blocks}",
        },
        runs=10_000,
        parts=4,
        nominal=dict.fromkeys(
            ("false_pass", "false_fail", "blocks_false_pass", "blocks_false_fail"), 0.05
        ),
    ),
}

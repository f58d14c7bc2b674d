"""Latency verdicts on a noisy clock, through the sampler, its looks and the verdicts that ship."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
from scipy import special
from table_latency import autocorrelated, drift, everything, independent
from tabulation import Table

sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))

from fake_serving import FakeClock, FakeConditions, FakeServer

from pytest_quantcheck.core.grammar import parse_limit
from pytest_quantcheck.core.latency import Schedule
from pytest_quantcheck.core.verdict import Outcome
from pytest_quantcheck.measure.latency.course import Surroundings
from pytest_quantcheck.measure.latency.protocols import DeviceState
from pytest_quantcheck.measure.latency.sampler import sample_pairs
from pytest_quantcheck.measure.latency.schedule import Sides, TimingPlan
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.serving import LatencyWatch
from pytest_quantcheck.stats.timing import percentile
from pytest_quantcheck.stats.timing.looks import Looks

LEVELS = levels(0.05, 1)
PAIRS = 60
WARMUPS = 3
LIMIT = 1.05
SECONDS = 0.1
"""What the reference takes without noise."""
RUNS = 2 * (PAIRS + WARMUPS)


def spikes(rng, n):
    """Return noise in which one run of 50 is interrupted."""
    return independent(rng, n) + (rng.random(n) < 0.02) * rng.exponential(0.5, n)


def steps(rng, n):
    """Return noise with a clock that falls by 8 % twice for a while, unseen."""
    starts = rng.integers(n, size=2)
    held = sum((np.arange(n) >= start) & (np.arange(n) < start + n // 4) for start in starts)
    return 0.08 * (held > 0) + independent(rng, n)


def loud(rng, n):
    return 3 * independent(rng, n)


NOISE = {
    "independent, 2 %": independent,
    "independent, 6 %": loud,
    "autocorrelation .98": autocorrelated(0.98),
    "drift of 5 %": drift,
    "throttling by 8 %": steps,
    "spikes": spikes,
    "all of these": everything,
}
SEEN = "throttling that the device reports"


class World:
    """A clock, a device and two models on it; one draw of noise is used up run by run."""

    def __init__(self, rng, noise, *, ratio):
        self.clock = FakeClock()
        self._noise = iter(noise)
        self._held = _episodes(rng)
        self.servers = Sides(
            reference=FakeServer(self.clock, self._taking(1.0)),
            variant=FakeServer(self.clock, self._taking(ratio)),
        )

    def _taking(self, ratio):
        return lambda _: SECONDS * ratio * math.exp(next(self._noise))


class ThrottledWorld(World):
    """The same where the device is slow by 8 % at times, and says so."""

    def _taking(self, ratio):
        def duration(now):
            slow = 0.08 * self.is_held(now)
            return SECONDS * ratio * math.exp(next(self._noise) + slow)

        return duration

    def is_held(self, now):
        return any(start <= now < end for start, end in self._held)


def _episodes(rng):
    """Return when a device is throttled: three times for some two seconds of the first 15."""
    starts = rng.uniform(0, 15, 3)
    return list(zip(starts, starts + rng.exponential(2.0, 3), strict=True))


class HonestConditions(FakeConditions):
    """A device that says when it is held down."""

    def __init__(self, world):
        super().__init__()
        self._world = world

    def read(self):
        held = self._world.is_held(self._world.clock.seconds)
        return DeviceState(reasons=("HwThermalSlowdown",)) if held else DeviceState()


def verdict(world, rng, limit, conditions=None):
    """Return what is decided by the runs that the sampler times."""
    watch = LatencyWatch([limit], LEVELS)
    surroundings = Surroundings(
        conditions=conditions or FakeConditions(),
        watcher=watch,
        now=world.clock.now,
        sleep=world.clock.sleep,
    )
    plan = TimingPlan(
        schedule=Schedule.PAIRS, n_planned=PAIRS, seed=int(rng.integers(2**31)), warmups=WARMUPS
    )
    return watch.verdict(limit, sample_pairs(world.servers, plan, surroundings=surroundings))


def decided(name, rng, *, ratio):
    """Return the verdict on the ratio where this is the true one."""
    limit = parse_limit("max_e2e_ratio", LIMIT)
    if name == SEEN:
        world = ThrottledWorld(rng, independent(rng, 20 * RUNS), ratio=ratio)
        return verdict(world, rng, limit, HonestConditions(world))
    return verdict(World(rng, NOISE[name](rng, RUNS), ratio=ratio), rng, limit)


def compared(name, rng, *, ratio):
    """Return whether `--benchmark-compare-fail=mean:5%` fails: means of AAA…, then of BBB…"""
    noise = independent(rng, RUNS) + _hidden(rng) if name == SEEN else NOISE[name](rng, RUNS)
    reference, variant = np.exp(noise[:PAIRS]), ratio * np.exp(noise[PAIRS : 2 * PAIRS])
    return np.mean(variant) / np.mean(reference) > LIMIT


def _hidden(rng):
    """Return the throttling of `_episodes` as a tool sees it that does not ask the device."""
    times, slow = SECONDS * np.arange(RUNS), np.zeros(RUNS)
    for start, end in _episodes(rng):
        slow[(times >= start) & (times < end)] = 0.08
    return slow


RATIOS = {"at": LIMIT, "3": LIMIT * 1.03, "5": LIMIT * 1.05, "even": 1.0}


def deciding_alone(measure):
    """Leave out p-values over all looks and runs needed, which cost much and decide nothing."""
    without_p = patch.object(Looks, "adjust", lambda _, p: p)
    return without_p(patch.object(percentile, "needed_for_share", lambda *_, **__: 0.0)(measure))


@deciding_alone
def measure_verdicts(cell, runs, rng):
    """Return error rates of all runs, and power of a tenth of them."""
    name, found = cell["noise"], {}
    few = max(1, runs // 10)
    for key, ratio in RATIOS.items():
        n = runs if key == "at" else few
        verdicts = [decided(name, rng, ratio=ratio) for _ in range(n)]
        for outcome in (Outcome.PASS, Outcome.FAIL):
            share = np.mean([verdict.outcome is outcome for verdict in verdicts])
            found[f"{outcome.value}_{key}"] = share
        found[f"pairs_{key}"] = np.mean([verdict.estimate.n for verdict in verdicts])
    for key, ratio in {"even": 1.0, "5": LIMIT * 1.05}.items():
        found[f"compared_{key}"] = np.mean([compared(name, rng, ratio=ratio) for _ in range(runs)])
    return {
        "false_pass": found["pass_at"],
        "false_fail": found["fail_at"],
        "power_3": found["fail_3"],
        "power_5": found["fail_5"],
        "pairs_5": found["pairs_5"],
        "power_even": found["pass_even"],
        "pairs_even": found["pairs_even"],
        "compared_even": found["compared_even"],
        "compared_missed": 1 - found["compared_5"],
    }


PERCENTILES = {
    "independent, 2 %": independent,
    "autocorrelation .8": autocorrelated(0.8),
    "autocorrelation .98": autocorrelated(0.98),
}
"""Noise whose percentile is known: it is normal with a standard deviation of 2 %."""


@deciding_alone
def measure_percentiles(cell, runs, rng):
    """Return how often a percentile at its limit is a PASS, or a FAIL."""
    percent = cell["percent"]
    value = 1000 * SECONDS * math.exp(0.02 * float(special.ndtri(percent / 100)))
    limit, outcomes = parse_limit(f"max_e2e_p{percent}_ms", value), []
    for _ in range(runs):
        world = World(rng, PERCENTILES[cell["noise"]](rng, RUNS), ratio=1.0)
        outcomes.append(verdict(world, rng, limit).outcome)
    return {
        "false_pass": outcomes.count(Outcome.PASS) / runs,
        "false_fail": outcomes.count(Outcome.FAIL) / runs,
    }


TABLES = {
    "serving-verdicts": Table(
        cells=[{"noise": name} for name in (*NOISE, SEEN)],
        measure=measure_verdicts,
        columns={
            "noise": "{noise}",
            "at the limit: PASS / FAIL": "{false_pass:.3f} / {false_fail:.3f}",
            "3 % over: FAIL": "{power_3:.3f}",
            "5 % over: FAIL (pairs)": "{power_5:.3f} ({pairs_5:.0f})",
            "as fast: PASS (pairs)": "{power_even:.3f} ({pairs_even:.0f})",
            "mean:5%, as fast: red": "{compared_even:.3f}",
            "mean:5%, 5 % over: green": "{compared_missed:.3f}",
        },
        runs=4_000,
        parts=8,
        nominal={"false_pass": 0.05, "false_fail": 0.05},
        simulated="sessions",
    ),
    "serving-percentiles": Table(
        cells=[{"noise": name, "percent": percent} for percent in (95, 50) for name in PERCENTILES],
        measure=measure_percentiles,
        columns={
            "noise": "{noise}",
            "percentile": "p{percent}",
            "PASS / FAIL at the limit": "{false_pass:.3f} / {false_fail:.3f}",
        },
        runs=4_000,
        parts=8,
        nominal={"false_pass": 0.05, "false_fail": 0.05},
        simulated="sessions",
    ),
}

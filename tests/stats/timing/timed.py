"""Samples as the sampler returns them, made of arrays."""

from __future__ import annotations

import numpy as np

from pytest_quantcheck.core.latency import LatencySamples, RunTimes, Schedule, Served, planned_looks

SERVED = Served(mode="eager", fallback="")
NEW_TOKENS = 5


def run(seconds, *, ttft=0.2, new_tokens=NEW_TOKENS):
    return RunTimes(
        ttft_seconds=float(ttft * seconds),
        e2e_seconds=float(seconds),
        device_seconds=None,
        new_tokens=new_tokens,
        batch_size=1,
    )


def pairs(reference, variant, *, n_planned=None, looks=None, stopped=None, new_tokens=NEW_TOKENS):
    """Return pairs with these times, reference first; looked at as planned, and not stopped."""
    n = len(reference)
    n_planned = n_planned or n
    if looks is None:
        looks = tuple(look for look in planned_looks(n_planned, first=12) if look < n)
    times = np.column_stack([reference, variant]).ravel()
    return LatencySamples(
        schedule=Schedule.PAIRS,
        blocks=tuple(int(i) for i in np.repeat(np.arange(n), 2)),
        is_variant=(False, True) * n,
        runs=tuple(run(seconds, new_tokens=new_tokens) for seconds in times),
        n_planned=n_planned,
        looks=looks,
        stopped=stopped,
        seed=0,
        reference=SERVED,
        variant=SERVED,
    )


def loads(reference, variant, *, n_planned=None):
    """Return blocks of loads with these times, (n, runs) of either."""
    n, runs = reference.shape
    return LatencySamples(
        schedule=Schedule.LOADS,
        blocks=tuple(int(i) for i in np.repeat(np.arange(n), 2 * runs)),
        is_variant=((False,) * runs + (True,) * runs) * n,
        runs=tuple(run(seconds) for seconds in np.hstack([reference, variant]).ravel()),
        n_planned=n_planned or n,
        looks=(),
        stopped=None,
        seed=0,
        reference=SERVED,
        variant=SERVED,
    )

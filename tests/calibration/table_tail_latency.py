"""Error of the p95 ratio at the limit, simulated through the shipped function."""

import numpy as np
from tabulation import Table

from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.p95_ratio import PairedSeconds, estimate_p95_ratio

LEVELS = levels(0.05, 1)


def requests(rng, n):
    """Return times that differ by request for both models, and a little by run."""
    request = rng.normal(0, 0.3, n)
    return (request + rng.normal(0, 0.1, n) for _ in range(2))


def unrelated(rng, n):
    return (rng.normal(0, 0.3, n) for _ in range(2))


def heavy(rng, n):
    """Return times of which one in ten meets a pause of its own."""
    request = rng.normal(0, 0.1, n)
    return (request + (rng.random(n) < 0.1) * rng.exponential(0.5, n) for _ in range(2))


LATENCIES = {
    "long and short requests": requests,
    "unrelated runs": unrelated,
    "pauses in one run of ten": heavy,
}


def p95_rates(draw, runs, rng, *, n, limit):
    """Return shares of PASS and of FAIL where the true ratio is 1."""
    passed = failed = 0
    for _ in range(runs):
        reference, variant = map(np.exp, draw(rng, n))
        pairs = PairedSeconds(reference=reference, variant=variant)
        found = estimate_p95_ratio(pairs, limit=limit, levels=LEVELS, rng=rng)
        passed += found.p_pass <= LEVELS.alpha_pass
        failed += found.p_fail <= LEVELS.alpha_fail
    return {"pass": passed / runs, "fail": failed / runs}


def measure_p95(cell, runs, rng):
    found = p95_rates(LATENCIES[cell["latencies"]], runs, rng, n=cell["n"], limit=1.0)
    return {"false_pass": found["pass"], "false_fail": found["fail"]}


TABLES = {
    "p95-ratio": Table(
        cells=[
            {"latencies": name, "n": n, "prototype": prototype}
            for name in LATENCIES
            for n, prototype in ((100, ".034 / .038"), (300, ".042 / .020"), (1000, ".058 / .032"))
            if n < 1000 or name == "unrelated runs"
        ],
        measure=measure_p95,
        columns={
            "latencies": "{latencies}",
            "n": "{n:,}",
            "false PASS / false FAIL": "{false_pass:.3f} / {false_fail:.3f}",
            "prototype": "{prototype}",
        },
        runs=10_000,
        parts=20,
        nominal={"false_pass": 0.05, "false_fail": 0.05},
    ),
}

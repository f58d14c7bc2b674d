"""Error of the p95 ratio at the limit, simulated through the shipped function."""

import math

import numpy as np
import pytest

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


def rates(draw, n, *, limit, runs, seed):
    """Return shares of PASS and of FAIL where the true ratio is 1."""
    rng = np.random.default_rng(seed)
    passed = failed = 0
    for _ in range(runs):
        reference, variant = map(np.exp, draw(rng, n))
        pairs = PairedSeconds(reference=reference, variant=variant)
        found = estimate_p95_ratio(pairs, limit=limit, levels=LEVELS, rng=rng)
        passed += found.p_pass <= LEVELS.alpha_pass
        failed += found.p_fail <= LEVELS.alpha_fail
    return passed / runs, failed / runs


@pytest.mark.parametrize("name", LATENCIES)
def test_few_verdicts_at_the_limit_are_wrong(name):
    runs = 250
    found = rates(LATENCIES[name], 100, limit=1.0, runs=runs, seed=31)
    assert max(found) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


def test_a_clear_difference_is_shown():
    assert rates(requests, 100, limit=1.5, runs=40, seed=32)[0] > 0.9
    assert rates(requests, 100, limit=0.7, runs=40, seed=33)[1] > 0.9

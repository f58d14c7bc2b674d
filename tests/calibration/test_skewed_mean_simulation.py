"""Error and power of tests of skewed means, simulated through the shipped functions."""

import math

import numpy as np
import pytest

from pytest_quantcheck.core.budget import Gate
from pytest_quantcheck.stats.skewed_mean import estimate_skewed_mean

ALPHA = 0.05


def log_normal(sigma):
    """Return a distribution with mean 1."""
    return lambda rng, n: rng.lognormal(-(sigma**2) / 2, sigma, n)


def pareto(rng, n):
    """Return Pareto values with shape 3, scaled to mean 1."""
    return (1 + rng.pareto(3, n)) * 2 / 3


DISTRIBUTIONS = {
    "log-normal, sigma 0.5": log_normal(0.5),
    "log-normal, sigma 1": log_normal(1.0),
    "log-normal, sigma 1.5": log_normal(1.5),
    "log-normal, sigma 2": log_normal(2.0),
    "Pareto, shape 3": pareto,
}


def rates(draw, n, *, limit, runs, seed):
    """Return shares of PASS by the p-value alone and under either gate, and of FAIL."""
    rng = np.random.default_rng(seed)
    counts = dict.fromkeys(("unguarded", "regression", "strict", "fail"), 0)
    for _ in range(runs):
        found = estimate_skewed_mean(draw(rng, n))
        counts["fail"] += found.p_fail(limit) <= ALPHA
        if found.p_pass(limit) <= ALPHA:
            counts["unguarded"] += 1
            for gate in Gate:
                counts[gate.value] += n >= found.examples_for_pass(gate)
    return {name: count / runs for name, count in counts.items()}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_few_verdicts_at_the_limit_are_wrong(name):
    runs = 4000
    found = rates(DISTRIBUTIONS[name], 100, limit=1.0, runs=runs, seed=3)
    slack = 3 * math.sqrt(ALPHA * (1 - ALPHA) / runs)

    assert found["fail"] <= ALPHA + slack
    # The strict gate keeps the level up to a point; the regression gate's PASS colours no build.
    assert found["strict"] <= ALPHA + 0.01 + slack
    assert found["strict"] <= found["regression"] <= min(found["unguarded"], 0.09 + slack)


def test_skewness_is_why_the_guard_is_there():
    found = rates(DISTRIBUTIONS["log-normal, sigma 2"], 100, limit=1.0, runs=1000, seed=4)
    assert found["unguarded"] > 2 * ALPHA


def test_half_the_limit_is_shown():
    found = rates(DISTRIBUTIONS["log-normal, sigma 0.5"], 100, limit=2.0, runs=500, seed=5)
    assert found["regression"] > 0.95
    assert found["fail"] == 0.0

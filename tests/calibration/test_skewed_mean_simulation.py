"""Error and power of tests of skewed means, simulated through the shipped functions."""

import math

import numpy as np
import pytest
from table_divergence import ALPHA, DISTRIBUTIONS, rates


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_few_verdicts_at_the_limit_are_wrong(name):
    runs = 4000
    found = rates(DISTRIBUTIONS[name], runs, np.random.default_rng(3), n=100, limit=1.0)
    slack = 3 * math.sqrt(ALPHA * (1 - ALPHA) / runs)

    assert found["fail"] <= ALPHA + slack
    # The strict gate keeps the level up to a point; the regression gate's PASS colours no build.
    assert found["strict"] <= ALPHA + 0.01 + slack
    assert found["strict"] <= found["regression"] <= min(found["unguarded"], 0.09 + slack)


def test_skewness_is_why_the_guard_is_there():
    found = rates(
        DISTRIBUTIONS["log-normal, sigma 2"], 1000, np.random.default_rng(4), n=100, limit=1.0
    )
    assert found["unguarded"] > 2 * ALPHA


def test_half_the_limit_is_shown():
    found = rates(
        DISTRIBUTIONS["log-normal, sigma 0.5"], 500, np.random.default_rng(5), n=100, limit=2.0
    )
    assert found["regression"] > 0.95
    assert found["fail"] == 0.0

"""Error of the p95 ratio at the limit, simulated through the shipped function."""

import math

import numpy as np
import pytest
from table_tail_latency import LATENCIES, p95_rates, requests


@pytest.mark.parametrize("name", LATENCIES)
def test_few_verdicts_at_the_limit_are_wrong(name):
    runs = 250
    found = p95_rates(LATENCIES[name], runs, np.random.default_rng(31), n=100, limit=1.0)
    assert max(found.values()) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


def test_a_clear_difference_is_shown():
    rng = np.random.default_rng(32)
    assert p95_rates(requests, 40, rng, n=100, limit=1.5)["pass"] > 0.9
    assert p95_rates(requests, 40, rng, n=100, limit=0.7)["fail"] > 0.9

"""Error of PASS and FAIL where the true recovery equals the limit, enumerated and simulated."""

from __future__ import annotations

import numpy as np
import pytest
from simulated import Drawn, outcomes
from table_recovery import GAINS, errors
from turning_points import OMITTED


@pytest.mark.parametrize("recovery", [0.9, 0.99])
@pytest.mark.parametrize(("n", "alpha"), [(30, 0.0025), (30, 0.05), (100, 0.05)])
def test_errors_at_the_limit_keep_the_level(n, recovery, alpha):
    for gains in GAINS:
        found = errors(n, recovery, gains, alpha=alpha)
        assert max(found.values()) <= alpha + OMITTED, gains


N, RUNS, RECOVERY = 100, 100, 0.95


def simulated(kind, rng):
    """Return reference and variant with a true recovery of `RECOVERY`."""
    if kind == "right or wrong":
        reference = (rng.random(N) < 0.8).astype(float)
        return reference, reference * (rng.random(N) < RECOVERY)
    reference = rng.beta(4, 2, N)
    if kind == "scores":
        noise = rng.uniform(0.9, 1.0, N)
        return reference, reference * noise
    return reference, reference * (rng.random(N) < RECOVERY)  # rare: 5 % lose everything


@pytest.mark.parametrize("kind", ["right or wrong", "scores", "rare losses"])
def test_verdicts_at_the_limit_are_rarely_decided(kind):
    metric, bounds = ("accuracy", None) if kind == "right or wrong" else ("score", (0.0, 1.0))
    rng = np.random.default_rng(11)

    def draw():
        reference, variant = simulated(kind, rng)
        return Drawn(metric=metric, reference=reference, variant=variant, bounds=bounds)

    found = outcomes((f"min_{metric}_recovery", RECOVERY), draw, RUNS)

    # At 5 % and 100 runs, 13 or more happen by chance once in 500 times.
    assert max(found.values()) < 0.13

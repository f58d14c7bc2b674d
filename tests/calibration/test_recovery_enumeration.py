"""Error of PASS and FAIL where the true recovery equals the limit, by enumeration of every result.

Examples that neither has right change nothing, so n counts the others. For a fixed share of gains
a worse recovery means more losses and fewer PASS: no point beyond the limit is worse than on it.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pytest_quantcheck.core.limit import Bound, Limit, Statistic
from pytest_quantcheck.core.quantity import Unit
from pytest_quantcheck.core.verdict import Outcome
from pytest_quantcheck.stats.binary import p_fail, p_pass
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.procedures import judge
from pytest_quantcheck.stats.scores import ExampleScores
from pytest_quantcheck.stats.tango import PairedCounts

GAINS = (0.0, 0.002, 0.01, 0.05)
OMITTED = 1e-6


def turning_points(n, recovery, *, alpha, most_gains):
    """Return, for each number of gains, the most losses that pass and the fewest that fail."""

    def p_value(test, losses, gains):
        counts = PairedCounts(losses=losses, gains=gains, n=n, is_relative=True)
        return test(counts, limit=1 - recovery, alpha=alpha)

    passing, failing, most, fewest = [], [], -1, 0
    for gains in range(most_gains + 1):
        while gains + most < n and p_value(p_pass, most + 1, gains) <= alpha:
            most += 1
        while gains + fewest <= n and p_value(p_fail, fewest, gains) > alpha:
            fewest += 1
        passing.append(most)
        failing.append(fewest)
    return passing, failing


def errors(n, recovery, share_of_gains, turns):
    """Return the chances of a false PASS and a false FAIL; what is left out counts as wrong."""
    p_loss = (1 - recovery) + recovery * share_of_gains
    false_pass = false_fail = stats.binom.sf(len(turns[0]) - 1, n, share_of_gains)
    for gains, (most, fewest) in enumerate(zip(*turns, strict=True)):
        weight = stats.binom.pmf(gains, n, share_of_gains)
        losses = stats.binom(n - gains, p_loss / (1 - share_of_gains))
        false_pass += weight * losses.cdf(most)
        false_fail += weight * losses.sf(fewest - 1)
    return false_pass, false_fail


@pytest.mark.parametrize("recovery", [0.9, 0.99])
@pytest.mark.parametrize(("n", "alpha"), [(30, 0.0025), (30, 0.05), (100, 0.05)])
def test_errors_at_the_limit_keep_the_level(n, recovery, alpha):
    most_gains = int(stats.binom.isf(OMITTED, n, max(GAINS)))
    turns = turning_points(n, recovery, alpha=alpha, most_gains=most_gains)

    for share in GAINS:
        assert max(errors(n, recovery, share, turns)) <= alpha + OMITTED, share


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
    limit = Limit(
        keyword=f"min_{metric}_recovery", statistic=Statistic.RECOVERY, metric=metric,
        bound=Bound.LOWER, value=RECOVERY, unit=Unit.RATIO,
    )  # fmt: skip
    rng = np.random.default_rng(11)
    outcomes = []
    for _ in range(RUNS):
        sides = [
            ExampleScores(
                metric=metric, ids=tuple(map(str, range(N))), values=values, weights=np.ones(N),
                bounds=bounds,
            )
            for values in simulated(kind, rng)
        ]  # fmt: skip
        found = judge(limit, sides[0], variant=sides[1], levels=levels(0.05, 1))
        outcomes.append(found.outcome)

    # At 5 % and 100 runs, 13 or more happen by chance once in 500 times.
    assert max(outcomes.count(Outcome.PASS), outcomes.count(Outcome.FAIL)) < 13

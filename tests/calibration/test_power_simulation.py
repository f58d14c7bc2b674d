"""The chance of red that is computed is the share of runs that are red."""

import math

import numpy as np
import pytest

from pytest_quantcheck.core.limit import Bound, Limit, Statistic
from pytest_quantcheck.core.quantity import Unit
from pytest_quantcheck.core.verdict import Outcome
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.procedures import judge
from pytest_quantcheck.stats.scores import ExampleScores

LEVELS = levels(0.05, 5)


def scores(values, metric, bounds):
    ids = tuple(map(str, range(len(values))))
    return ExampleScores(
        metric=metric, ids=ids, values=values, weights=np.ones(len(values)), bounds=bounds
    )


def answers(rng, n, loss, gain):
    """Return right and wrong answers with expected shares of losses and gains."""
    drawn = rng.random(n)
    reference, variant = np.ones(n), np.ones(n)
    variant[drawn < loss] = 0
    reference[(drawn >= loss) & (drawn < loss + gain)] = 0
    return reference, variant


def drop(rng, n):
    return answers(rng, n, 0.02 + 0.12, 0.02)


def nothing_kept(rng, n):
    return answers(rng, n, 0.15 + 0.85 * 0.02, 0.02)


def flips(rng, n):
    return answers(rng, n, 0.15, 0.0)


def floor(rng, n):
    return answers(rng, n, 0.2, 0.0)


def shifted(rng, n):
    reference = rng.uniform(0.5, 0.9, n)
    return reference, reference - 0.12 + rng.normal(0, 0.15, n).clip(-0.3, 0.1)


CASES = {
    "drop": (drop, Statistic.DROP, "accuracy", 0.02, Bound.UPPER, Unit.POINTS, 60, 80),
    "recovery": (nothing_kept, Statistic.RECOVERY, "accuracy", 0.95, Bound.LOWER, Unit.RATIO, 60,
                 80),
    "flips": (flips, Statistic.FLIPS, "accuracy", 0.05, Bound.UPPER, Unit.FRACTION, 50, 800),
    "floor": (floor, Statistic.VARIANT_LEVEL, "accuracy", 0.9, Bound.LOWER, Unit.FRACTION, 60,
              800),
}  # fmt: skip


@pytest.mark.parametrize(
    ("draw", "statistic", "metric", "value", "bound", "unit", "n", "runs"),
    CASES.values(),
    ids=CASES,
)
def test_red_comes_as_often_as_computed(draw, statistic, metric, value, bound, unit, n, runs):
    limit = Limit(
        keyword="limit", statistic=statistic, metric=metric, bound=bound, value=value, unit=unit
    )
    rng = np.random.default_rng(5)
    # The share of gains is taken from what was observed: here as drawn.
    planned = answers(np.random.default_rng(0), n, 0.0, 0.0)
    if statistic in {Statistic.DROP, Statistic.RECOVERY}:
        planned[0][: round(0.02 * n)] = 0
    first = [scores(values, metric, None) for values in planned]
    power = judge(limit, first[0], variant=first[1], levels=LEVELS).power

    red = 0
    for _ in range(runs):
        pair = [scores(values, metric, None) for values in draw(rng, n)]
        red += judge(limit, pair[0], variant=pair[1], levels=LEVELS).outcome is Outcome.FAIL

    assert 0.05 < power < 0.95
    # Four standard errors of the share, and what a rounded number of gains makes.
    assert abs(red / runs - power) < 4 * math.sqrt(power * (1 - power) / runs) + 0.02


def test_red_comes_as_often_as_computed_for_scores():
    limit = Limit(
        keyword="max_score_drop", statistic=Statistic.DROP, metric="score", bound=Bound.UPPER,
        value=0.05, unit=Unit.SCORE,
    )  # fmt: skip
    rng = np.random.default_rng(8)

    def draw(mean, n=25):
        reference = rng.uniform(0.5, 0.6, n)
        variant = reference - mean + rng.normal(0, 0.15, n)
        return [scores(values, "score", None) for values in (reference, variant)]

    powers, red = [], 0
    for _ in range(400):
        pair = draw(0.0)
        found = judge(limit, pair[0], variant=pair[1], levels=LEVELS)
        powers.append(found.power)
        assert found.power_at == pytest.approx(0.15)
        pair = draw(0.15)
        red += judge(limit, pair[0], variant=pair[1], levels=LEVELS).outcome is Outcome.FAIL

    # The observed spread stands for the true one: the mean over runs is what comes true.
    assert abs(red / 400 - np.mean(powers)) < 4 * math.sqrt(0.25 / 400)

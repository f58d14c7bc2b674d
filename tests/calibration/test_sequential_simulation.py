"""The fast path of the tables decides as `Trial` does, and errors stay at their levels."""

import math

import numpy as np
import pytest
import table_sequential as savings
import table_sequential_trials as trials
from sequential_counts import Course, draw_counts, run

from pytest_quantcheck.core.limit import Bound, Limit, Statistic
from pytest_quantcheck.core.quantity import Unit
from pytest_quantcheck.core.verdict import Levels, Outcome
from pytest_quantcheck.stats.scores import ExampleScores
from pytest_quantcheck.stats.sequential.trial import Plan, Trial

OUTCOMES = {Outcome.PASS: 1, Outcome.FAIL: -1, Outcome.INCONCLUSIVE: 0}
DROP = Limit(
    keyword="max_accuracy_drop",
    statistic=Statistic.DROP,
    metric="accuracy",
    bound=Bound.UPPER,
    value=savings.LIMIT,
    unit=Unit.POINTS,
)


def tolerated(level, runs):
    return level + 3 * math.sqrt(level * (1 - level) / runs)


def batches(losses, gains, ends):
    """Yield reference and variant of each batch, with the losses and gains given up to its end."""
    start, lost, gained = 0, 0, 0
    for end, all_lost, all_gained in zip(ends, losses, gains, strict=True):
        reference, variant = np.ones((2, end - start))
        variant[: all_lost - lost] = 0
        reference[reference.size - (all_gained - gained) :] = 0
        ids = tuple(f"e{i:05d}" for i in range(start, end))
        yield [
            ExampleScores(metric="accuracy", ids=ids, values=values, weights=np.ones(values.size))
            for values in (reference, variant)
        ]
        start, lost, gained = end, int(all_lost), int(all_gained)


@pytest.mark.parametrize(("flips", "drop"), [(0.01, 0), (0.01, 0.01), (0.04, 0.02), (0.06, 0.05)])
@pytest.mark.parametrize("levels", [Levels(alpha_pass=0.05, alpha_fail=0.05 / 20)])
def test_fast_path_and_trial_decide_alike(flips, drop, levels):
    course, rng = Course.shipped(1000), np.random.default_rng(7)
    losses, gains = draw_counts(rng, 12, flips=flips, drop=drop, ends=course.ends)
    fast = run(losses, gains, course=course, limit=savings.LIMIT, levels=levels)
    for i in range(12):
        plan = Plan(n=1000, n_clusters=None, largest_cluster=1)
        trial = Trial(DROP, plan=plan, levels=levels)
        for reference, variant in batches(losses[:, i], gains[:, i], course.ends):
            if trial.update(reference, variant):
                break
        assert (OUTCOMES[trial.outcome], trial.n) == (fast.outcome[i], fast.n[i])
        assert trial.verdict.outcome is trial.outcome


def test_errors_at_the_limit_keep_the_level():
    cell, runs = {"n": 1000, "flips": 0.01}, 1000
    found = savings.measure_errors(cell, runs, np.random.default_rng(1))
    assert max(found.values()) <= tolerated(0.05, runs)


def test_savings_are_those_of_the_prototype():
    # the cells of statistics.md, section 6.3, in which exact and asymptotic tests agree
    runs = 1000
    for n, flips, drop, part in [(1000, 0.01, 0.0, 0.78), (2000, 0.05, 5, 0.15)]:
        cell = {"n": n, "flips": flips, "drop": drop}
        found = savings.measure_savings(cell, runs, np.random.default_rng(2))
        assert found["used"] <= part + 0.03
        assert found["shipped_used"] <= max(part + 0.03, 300 / n + 0.03)


@pytest.mark.parametrize("more", [0, 1])
def test_errors_on_a_given_set_at_the_limit_keep_the_level(more):
    cell, runs = {"n": 1000, "flips": 0.05, "drop": 1, "more": more}, 600
    found = savings.measure_dataset(cell, runs, np.random.default_rng(3))
    assert max(found["wrong"], found["shipped_wrong"]) <= tolerated(0.05, runs)


@pytest.mark.parametrize("name", ["flip rate", "perplexity, normal"])
def test_errors_of_other_limits_keep_the_level(name):
    runs = 150
    found = trials.measure({"limit": name}, runs, np.random.default_rng(4))
    assert max(found["false_pass"], found["false_fail"]) <= tolerated(0.05, runs)
    assert min(found["passed"], found["failed"]) > 0.85

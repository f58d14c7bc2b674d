"""What a plan promises is what `judge` does: shares of verdicts over simulated runs."""

import math

import numpy as np
import pytest

from pytest_quantcheck.core.grammar import parse_limit
from pytest_quantcheck.core.verdict import Outcome
from pytest_quantcheck.planning import largest_shown_pass, needed_examples, smallest_shown_fail
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.plan import Assumptions, Plan
from pytest_quantcheck.stats.procedures import judge
from pytest_quantcheck.stats.scores import ExampleScores

FAMILY = 5
LEVELS = levels(0.05, FAMILY)
RUNS = 100
SLACK = 4 * math.sqrt(0.8 * 0.2 / RUNS)
"""Four standard errors of a share of 80 %."""


def scores(metric, values, *, clusters=None, bounds=None):
    ids = tuple(map(str, range(len(values))))
    return ExampleScores(
        metric=metric,
        ids=ids,
        values=values,
        weights=np.ones(len(values)),
        clusters=clusters,
        bounds=bounds,
    )


def answers(rng, n, *, losses, gains, both):
    """Return right and wrong answers of reference and variant, with expected shares."""
    drawn = rng.choice(4, size=n, p=[losses, gains, both, 1 - losses - gains - both])
    return np.isin(drawn, (0, 2)).astype(float), np.isin(drawn, (1, 2)).astype(float)


def drop(rng, n, true):
    losses = max((0.05 + true) / 2, true)
    pair = answers(rng, n, losses=losses, gains=losses - true, both=0.6)
    return [scores("accuracy", side) for side in pair]


def recovery(rng, n, true):
    lost = (1 - true) * 0.75
    losses = max((0.05 + lost) / 2, lost)
    pair = answers(rng, n, losses=losses, gains=losses - lost, both=0.75 - losses)
    return [scores("accuracy", side) for side in pair]


def flips(rng, n, true):
    pair = answers(rng, n, losses=true / 2, gains=true / 2, both=0.5)
    return [scores("accuracy", side) for side in pair]


def level(rng, n, true):
    return [
        scores("accuracy", np.ones(n)),
        scores("accuracy", (rng.random(n) < true).astype(float)),
    ]


def ratio(rng, n, true):
    reference = rng.uniform(2, 3, n)
    changes = rng.normal(math.log(true), 0.05, n)
    return [scores("perplexity", reference), scores("perplexity", reference + changes)]


def score(rng, n, true):
    reference = rng.uniform(0.4, 0.6, n)
    return [
        scores("score", side, bounds=(0.0, 1.0))
        for side in (reference, reference - true + rng.uniform(-1, 1, n) * 0.1 * math.sqrt(3))
    ]


CASES = {
    "drop": ("max_accuracy_drop", 0.15, 50, drop),
    "recovery": ("min_accuracy_recovery", 0.75, 50, recovery),
    "flips": ("max_flip_rate", 0.1, 300, flips),
    "level": ("min_accuracy", 0.8, 200, level),
    "ratio": ("max_perplexity_ratio", 1.05, 30, ratio),
    "score": ("max_score_drop", 0.08, 30, score),
}


def share(outcome, limit, pairs):
    """Return how many of the pairs end so; equal tables of answers are judged once."""
    known = {}
    found = []
    for reference, variant in pairs:
        is_table = reference.metric == "accuracy" and reference.clusters is None
        codes = (2 * reference.values + variant.values).astype(int)
        key = tuple(np.bincount(codes, minlength=4)) if is_table else len(known)
        if key not in known:
            known[key] = judge(limit, reference, variant=variant, levels=LEVELS).outcome
        found.append(known[key])
    return found.count(outcome) / len(found)


@pytest.mark.parametrize(("keyword", "value", "n", "draw"), CASES.values(), ids=CASES)
def test_the_smallest_fail_is_shown_in_80_percent_of_the_runs(keyword, value, n, draw):
    rng = np.random.default_rng(11)
    true = smallest_shown_fail(keyword, value, n=n, family_size=FAMILY)
    pairs = [draw(rng, n, true) for _ in range(RUNS)]

    found = share(Outcome.FAIL, parse_limit(keyword, value), pairs)

    assert abs(found - 0.8) < SLACK + 0.02


@pytest.mark.parametrize(("keyword", "value", "n", "draw"), CASES.values(), ids=CASES)
def test_the_largest_pass_is_shown_in_80_percent_of_the_runs(keyword, value, n, draw):
    rng = np.random.default_rng(12)
    true = largest_shown_pass(keyword, value, n=n)
    pairs = [draw(rng, n, true) for _ in range(RUNS)]

    found = share(Outcome.PASS, parse_limit(keyword, value), pairs)

    assert abs(found - 0.8) < SLACK + 0.02


@pytest.mark.parametrize(
    ("keyword", "value", "draw", "true"),
    [
        ("max_accuracy_drop", 0.1, drop, 0.0),
        ("max_accuracy_drop", 0.08, drop, 0.25),
        ("min_accuracy_recovery", 0.85, recovery, 1.0),
        ("max_flip_rate", 0.1, flips, 0.05),
        ("min_accuracy", 0.8, level, 0.7),
        ("max_perplexity_ratio", 1.02, ratio, 1.0),
        ("max_score_drop", 0.05, score, 0.0),
    ],
    ids=["pass", "fail", "recovery", "flips", "level", "ratio", "score"],
)
def test_needed_examples_show_it_in_80_percent_of_the_runs(keyword, value, draw, true):
    rng = np.random.default_rng(13)
    limit = parse_limit(keyword, value)
    n = needed_examples(keyword, value, true=true, family_size=FAMILY)
    is_fail = (true > value) is (limit.bound.value == "upper")
    pairs = [draw(rng, n, true) for _ in range(RUNS)]

    found = share(Outcome.FAIL if is_fail else Outcome.PASS, limit, pairs)

    # The exact test has up to 7 points less than the formula; a binomial's saw teeth give more.
    assert 0.8 - SLACK - 0.07 < found < 0.8 + SLACK + 0.08


def clustered(rng, size, n_clusters, draw):
    """Return answers of which those of one cluster are alike."""
    labels = np.repeat(np.arange(n_clusters), size)
    return [
        scores("accuracy", np.repeat(side.values, size), clusters=labels)
        for side in draw(rng, n_clusters)
    ]


@pytest.mark.parametrize(
    ("keyword", "value", "outcome", "true", "draw"),
    [
        ("max_accuracy_drop", 0.05, Outcome.PASS, 0.0, drop),
        ("max_accuracy_drop", 0.05, Outcome.FAIL, 0.13, drop),
        ("max_flip_rate", 0.2, Outcome.PASS, 0.13, flips),
        ("max_flip_rate", 0.2, Outcome.FAIL, 0.3, flips),
    ],
)
def test_clusters_count_as_one_each_unless_said_otherwise(keyword, value, outcome, true, draw):
    rng, limit = np.random.default_rng(14), parse_limit(keyword, value)
    plan = Plan(limit=limit, levels=LEVELS, assuming=Assumptions(cluster_size=3.0))
    planned = plan.chance(outcome, n=3 * 200, true=true)
    pairs = [clustered(rng, 3, 200, lambda r, n: draw(r, n, true)) for _ in range(RUNS)]

    found = share(outcome, limit, pairs)

    assert 0.4 < planned < 0.98
    assert abs(found - planned) < 4 * math.sqrt(planned * (1 - planned) / RUNS) + 0.06

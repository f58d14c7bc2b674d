"""Trials fed in batches, as measuring does."""

from dataclasses import replace

import numpy as np
import pytest

from pytest_quantcheck.core.verdict import Levels
from pytest_quantcheck.stats.sequential.trial import Plan, Trial

EVEN = Levels(alpha_pass=0.05, alpha_fail=0.05)


def _cut(n, size):
    """Return the ends of batches of `size`."""
    return [*range(size, n, size), n]


def _feed(trial, reference, variant, ends):
    """Give a trial the examples batch by batch until it is decided; return it."""
    start = 0
    for end in ends:
        part = slice(start, end)
        if trial.update(_select(reference, part), _select(variant, part)):
            break
        start = end
    return trial


def _select(scores, part):
    """Return some examples of the scores."""
    return replace(
        scores,
        ids=scores.ids[part],
        values=scores.values[part],
        weights=scores.weights[part],
        clusters=None if scores.clusters is None else scores.clusters[part],
    )


@pytest.fixture
def trial(make_limit):
    """Return a trial of `n` examples of their own, and the same trial fed with scores."""

    def run(value, reference, variant, *, batch=64, levels=EVEN, plan=None, limit=None, **options):
        n = len(reference.ids)
        plan = plan or Plan(n=n, n_clusters=None, largest_cluster=1)
        made = Trial(limit or make_limit(value), plan=plan, levels=levels, **options)
        return _feed(made, reference, variant, _cut(n, batch))

    return run


@pytest.fixture
def shuffled(make_scores):
    """Return reference and variant with losses and gains spread at random over n examples."""

    def make(losses, gains, n, *, seed=0, **kwargs):
        order = np.random.default_rng(seed).permutation(n)
        reference, variant = np.ones(n), np.ones(n)
        variant[order[:losses]] = 0
        reference[order[losses : losses + gains]] = 0
        return make_scores(reference, **kwargs), make_scores(variant, **kwargs)

    return make


@pytest.fixture
def select():
    return _select

"""Builders of scores and limits."""

import numpy as np
import pytest

from pytest_quantcheck.core.limit import Bound, Limit, Statistic
from pytest_quantcheck.core.metric import METRICS, Direction, Metric, Scale
from pytest_quantcheck.core.quantity import Unit
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.procedures import judge
from pytest_quantcheck.stats.scores import ExampleScores


def _scores(values, metric="accuracy", *, ids=None, weights=None, clusters=None, bounds=None):
    values = np.asarray(values, dtype=np.float64)
    return ExampleScores(
        metric=metric,
        ids=tuple(f"e{i:05d}" for i in range(values.size)) if ids is None else tuple(ids),
        values=values,
        weights=np.ones(values.size) if weights is None else np.asarray(weights, dtype=np.float64),
        clusters=None if clusters is None else np.asarray(clusters, dtype=np.int64),
        bounds=bounds,
    )


def _limit(value, statistic=Statistic.DROP, *, metric="accuracy", bound=Bound.UPPER):
    return Limit(
        keyword="max_accuracy_drop",
        statistic=statistic,
        metric=metric,
        bound=bound,
        value=value,
        unit=Unit.POINTS,
    )


def _from_counts(losses, gains, n, **kwargs):
    """Return reference and variant with that many losses and gains; the rest is right in both."""
    reference, variant = np.ones(n), np.ones(n)
    variant[:losses] = 0
    reference[losses : losses + gains] = 0
    return _scores(reference, **kwargs), _scores(variant, **kwargs)


def _judge(value, reference, variant, statistic=Statistic.DROP, *, bound=Bound.UPPER, alpha=0.05):
    limit = _limit(value, statistic, bound=bound)
    return judge(limit, reference, variant=variant, levels=levels(alpha, 1))


@pytest.fixture
def lower_is_better(monkeypatch):
    """Register `defect`, which is 0 or 1, and `excess`, a score: both better when lower."""
    for name, scale in (("defect", Scale.BINARY), ("excess", Scale.SCORE)):
        metric = Metric(
            name=name,
            direction=Direction.LOWER_IS_BETTER,
            scale=scale,
            level_unit=Unit.FRACTION,
            degradation_unit=Unit.POINTS,
        )
        monkeypatch.setitem(METRICS, name, metric)


@pytest.fixture
def make_scores():
    return _scores


@pytest.fixture
def make_limit():
    return _limit


@pytest.fixture
def make_counts():
    return _from_counts


@pytest.fixture
def verdict():
    return _judge

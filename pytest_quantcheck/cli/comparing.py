"""What each metric of a variant did from one run to another."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pytest_quantcheck.cli.rows import rows_in, scores_of
from pytest_quantcheck.core.limit import Bound, Limit, Statistic
from pytest_quantcheck.core.metric import METRICS, Direction, Scale
from pytest_quantcheck.core.quantity import Unit
from pytest_quantcheck.core.verdict import Outcome
from pytest_quantcheck.errors import QuantcheckError
from pytest_quantcheck.report.changes import Change
from pytest_quantcheck.report.wording import is_of_serving, metric_name, place
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.procedures import judge
from pytest_quantcheck.stats.scores import ExampleScores, metric_level
from pytest_quantcheck.stats.unpaired import compare_means

if TYPE_CHECKING:
    from pytest_quantcheck.cli.runs import SavedRun
    from pytest_quantcheck.core.examples import ExamplesRecord
    from pytest_quantcheck.core.metric import Metric
    from pytest_quantcheck.core.record import CheckRecord, RunRecord
    from pytest_quantcheck.core.verdict import Levels

_TESTED = {Scale.BINARY, Scale.SCORE, Scale.NLL, Scale.DIVERGENCE, Scale.SHARE}
_AS_NATS = {Scale.DIVERGENCE, Scale.SHARE}
"""Sums over tokens: compared as negative log-likelihoods are, per token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """One metric of one variant in one run."""

    check: CheckRecord
    record: ExamplesRecord
    scores: ExampleScores

    @property
    def is_partial(self) -> bool:
        return len(self.record.ids) < self.record.n_planned


def compare_runs(first: SavedRun, second: SavedRun, *, alpha: float) -> list[Change]:
    """Return the change of every metric that budgets of both runs are about.

    Parameters
    ----------
    first, second : SavedRun
        The later one second.
    alpha : float
        Chance that any regression is false; it is divided by the number of metrics (Bonferroni).
    """
    before, after = _sides(first), _sides(second)
    shared = [key for key in after if key in before]
    share = levels(alpha, max(1, len(shared)))
    changes = [_change(before[key], after[key], share) for key in shared]
    return changes + _without_scores(first, second)


def _sides(saved: SavedRun) -> dict[tuple[str, ...], _Side]:
    """Return what the budgets of a run are about; of several measurements the largest."""
    found: dict[tuple[str, ...], _Side] = {}
    for check in saved.run.checks:
        record = saved.examples.get(check.examples or "")
        rows = record.rows_of(check.metric) if record else None
        if record is None or rows is None:
            continue
        key = (check.model, check.variant, check.workload, check.slice or "", check.metric)
        side = _Side(check=check, record=record, scores=_of_slice(scores_of(rows), check, record))
        if key not in found or len(found[key].record.ids) < len(record.ids):
            found[key] = side
    return found


def _of_slice(scores: ExampleScores, check: CheckRecord, record: ExamplesRecord) -> ExampleScores:
    if check.slice is None:
        return scores
    return scores.taken(rows_in(check.slice, scores.ids, record))


def _change(before: _Side, after: _Side, share: Levels) -> Change:
    metric = METRICS[after.check.metric]
    is_paired = _has_same_examples(before, after)
    is_identical = is_paired and np.array_equal(before.scores.values, after.scores.values)
    check = after.check
    change = Change(
        workload=place(check),
        variant_label=check.variant_label,
        metric=check.metric,
        level_unit=metric.level_unit.value,
        unit=metric.degradation_unit.value,
        before=metric_level(before.scores),
        after=metric_level(after.scores),
        value=None,
        low=None,
        high=None,
        n=len(after.scores.ids),
        how="paired" if is_paired else "unpaired: the examples differ",
        is_regression=False,
        is_identical=is_identical,
    )
    if is_identical:
        return change
    if before.is_partial or after.is_partial:
        return replace(change, how="no test: stopped early; run with --quant-sequential=off")
    if metric.scale not in _TESTED:
        return replace(change, how=f"no test of a change of {metric.name}")
    sides = _oriented(before.scores, metric), _oriented(after.scores, metric)
    try:
        found = _paired(sides, share) if is_paired else _unpaired(sides, share)
    except QuantcheckError as error:
        return replace(change, how=f"no test: {error}")
    value, low, high = (_stated(one, metric) for one in (found.value, found.low, found.high))
    return replace(change, value=value, low=low, high=high, is_regression=found.is_worse)


def _has_same_examples(before: _Side, after: _Side) -> bool:
    same = before.record.fingerprint == after.record.fingerprint
    return same and before.scores.ids == after.scores.ids


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    value: float
    """Of nats per token a ratio, as for perplexity; so are both ends of the interval."""
    low: float
    high: float
    is_worse: bool


def _paired(sides: tuple[ExampleScores, ExampleScores], share: Levels) -> _Found:
    is_nats = METRICS[sides[0].metric].scale is Scale.NLL
    limit = Limit(
        keyword="a change for the worse",
        statistic=Statistic.LOG_RATIO if is_nats else Statistic.DROP,
        metric=sides[0].metric,
        bound=Bound.UPPER,
        value=1.0 if is_nats else 0.0,
        unit=Unit.RATIO if is_nats else METRICS[sides[0].metric].degradation_unit,
    )
    verdict = judge(limit, sides[0], variant=sides[1], levels=share)
    found = verdict.estimate
    return _Found(
        value=found.value,
        low=found.low,
        high=found.high,
        is_worse=verdict.outcome is Outcome.FAIL,
    )


def _unpaired(sides: tuple[ExampleScores, ExampleScores], share: Levels) -> _Found:
    is_nats = METRICS[sides[0].metric].scale is Scale.NLL
    # What is better when higher is turned round, so that more is worse.
    first, second = (
        one if is_nats else replace(one, values=-one.values, bounds=None) for one in sides
    )
    found = compare_means(first, second, alpha=share.alpha_pass)
    stated = math.exp if is_nats else float
    return _Found(
        value=stated(found.value),
        low=stated(found.low),
        high=stated(found.high),
        is_worse=found.p_larger <= share.alpha_fail,
    )


def _oriented(scores: ExampleScores, metric: Metric) -> ExampleScores:
    """Return scores of which less is worse, or, of sums over tokens, nats of which more is."""
    is_higher = metric.direction is Direction.HIGHER_IS_BETTER
    if metric.scale in _AS_NATS:
        values = scores.weights - scores.values if is_higher else scores.values
        return replace(scores, metric="perplexity", values=values, is_identical=False)
    if metric.scale is Scale.NLL or is_higher:
        return replace(scores, is_identical=False)
    # Faults, of which 1 is worse: what is free of them is right.
    return replace(scores, metric="accuracy", values=1 - scores.values, is_identical=False)


def _stated(number: float, metric: Metric) -> float:
    """Return a figure in the metric's unit: of what is no perplexity, nats or a share."""
    return math.log(number) if metric.scale in _AS_NATS else number


def _without_scores(first: SavedRun, second: SavedRun) -> list[Change]:
    """Return what variants take, where budgets of both limit it."""
    before, after = _taken(first.run), _taken(second.run)
    return [_taken_change(before[key], now) for key, now in after.items() if key in before]


def _taken(run: RunRecord) -> dict[tuple[str, ...], CheckRecord]:
    return {
        (check.model, check.variant, place(check), metric_name(check)): check
        for check in run.checks
        if is_of_serving(check) or check.statistic == Statistic.WEIGHT_RATIO.value
    }


def _taken_change(then: CheckRecord, now: CheckRecord) -> Change:
    """Return weights compared exactly; times and peak memory, which hosts move, as they are."""
    before, after = then.variant_level, now.variant_level
    is_exact = now.statistic == Statistic.WEIGHT_RATIO.value
    name = metric_name(now)
    return Change(
        workload=place(now),
        variant_label=now.variant_label,
        metric=name,
        level_unit=now.level_unit,
        unit=Unit.RATIO.value,
        before=before,
        after=after,
        value=after / before if is_exact else None,
        low=None,
        high=None,
        n=now.n,
        how="exact" if is_exact else f"no test of a change of {name}",
        is_regression=is_exact and after > before,
        is_identical=before == after,
    )

"""From per-example records to suggested budgets, model by model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantcheck.cli.rows import scores_of
from pytest_quantcheck.core.grammar import keywords_of, nominal_limit
from pytest_quantcheck.core.limit import Statistic
from pytest_quantcheck.core.metric import METRICS, Direction, Scale
from pytest_quantcheck.core.quantity import format_count
from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.report.suggestions import (
    SuggestedBudget,
    SuggestionTerms,
    render_suggestions,
)
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.suggest import Aim, Halves, Sides, split, suggest

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from pytest_quantcheck.cli.runs import SavedRun
    from pytest_quantcheck.core.examples import ExamplesRecord, ScoresRecord

LEAST_EXAMPLES = 200
LEAST_UNITS = 40
"""Documents, or clusters."""

_IN_BODY = "Scored"
_MARKED = {Statistic.DROP, Statistic.LOG_RATIO, Statistic.FLIPS}
"""What a marker to paste states of the first metric; each further budget shares alpha with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    reference: ExamplesRecord
    variant: ExamplesRecord
    halves: Halves
    is_clustered: bool

    def sides(self, metric: str) -> Sides | None:
        """Return the scores of both for one metric, if both have some."""
        compared = self.variant if METRICS[metric].is_of_pair else self.reference
        found = [record.rows_of(metric) for record in (compared, self.variant)]
        reference, variant = (None if rows is None else scores_of(rows) for rows in found)
        if reference is None or variant is None:
            return None
        return Sides(reference=reference, variant=variant)


def suggest_for_run(saved: SavedRun, arguments: argparse.Namespace) -> Iterator[str]:
    """Yield the lines on every model of a run.

    Raises
    ------
    UsageError
        No workload has enough examples.
    """
    asked = [record for record in saved.examples.values() if _is_asked(record, arguments)]
    records = _without_beginnings(asked)
    records.sort(key=lambda one: (one.workload, one.variant))
    refused = {id(record): _shortage(record) for record in records}
    if all(refused.values()):
        raise UsageError(
            "no workload has examples to propose on one half and check on the other: "
            + "; ".join(dict.fromkeys(filter(None, refused.values())))
        )
    is_first = True
    for environment in saved.run.environments:
        mine = [record for record in records if record.model == environment.model]
        if not mine:
            continue
        aim = Aim(
            levels=levels(environment.alpha, environment.family_size),
            false_alarm=arguments.false_alarm,
        )
        terms = SuggestionTerms(
            model=environment.model,
            reference_label=environment.reference_label,
            false_alarm=arguments.false_alarm,
            alpha=environment.alpha,
            family_size=environment.family_size,
            seed=arguments.seed,
            refused=tuple(dict.fromkeys(text for one in mine if (text := refused[id(one)]))),
        )
        pairs = [
            _pair(record, saved, seed=arguments.seed) for record in mine if not refused[id(record)]
        ]
        budgets = [budget for pair in pairs for budget in _budgets(pair, aim)]
        yield from ([] if is_first else [""])
        yield from render_suggestions(budgets, terms)
        is_first = False


def _is_asked(record: ExamplesRecord, arguments: argparse.Namespace) -> bool:
    return (
        record.reference is not None
        and (not arguments.variant or record.variant in arguments.variant)
        and (not arguments.workload or record.workload in arguments.workload)
    )


def _without_beginnings(records: Sequence[ExamplesRecord]) -> list[ExamplesRecord]:
    """Return the records without those of budgets that stopped where another needed all."""
    whole = {_measured(record) for record in records if len(record.ids) == record.n_planned}
    return [
        record
        for record in records
        if len(record.ids) == record.n_planned or _measured(record) not in whole
    ]


def _measured(record: ExamplesRecord) -> tuple[str, ...]:
    return record.model, record.workload, record.variant, record.fingerprint


def _shortage(record: ExamplesRecord) -> str:
    """Return why the examples cannot be used; empty if they can."""
    n, place = len(record.ids), record.workload
    if n < record.n_planned:
        return (
            f"{place} on {record.variant} stopped early, at {format_count(n)} of "
            f"{format_count(record.n_planned)} examples: how many were measured depends on what "
            "they showed; measure all with pytest --quant-sequential=off"
        )
    is_of_tokens = METRICS[record.scores[0].metric].scale is Scale.NLL
    least, what = (LEAST_UNITS, "documents") if is_of_tokens else (LEAST_EXAMPLES, "examples")
    if n < least:
        return f"{place} has {format_count(n)} {what}, at least {least} are needed"
    n_clusters = len(set(record.clusters or record.ids))
    if n_clusters < LEAST_UNITS:
        return f"{place} has {n_clusters} clusters, at least {LEAST_UNITS} are needed"
    return ""


def _pair(record: ExamplesRecord, saved: SavedRun, *, seed: int) -> _Pair:
    assert record.reference is not None  # noqa: S101 - references are left out
    scores = scores_of(_rows(record))
    return _Pair(
        reference=saved.examples[record.reference],
        variant=record,
        halves=split(scores, seed=seed),
        is_clustered=len(set(record.clusters or record.ids)) < len(record.ids),
    )


def _rows(record: ExamplesRecord) -> ScoresRecord:
    rows = record.rows_of(record.scores[0].metric)
    assert rows is not None  # noqa: S101 - its own first metric
    return rows


def _budgets(pair: _Pair, aim: Aim) -> Iterator[SuggestedBudget]:
    metrics = [METRICS[scores.metric] for scores in pair.variant.scores]
    first = next((metric for metric in metrics if metric.is_correctness), None)
    for metric in (one for one in metrics if one.per == "token"):
        words = keywords_of(metric)
        if metric.scale is Scale.BINARY and metric.direction is Direction.LOWER_IS_BETTER:
            words = words[:1]  # its rise: a ceiling of what is usually 0 says no more
        if metric is first:
            words = [_unnamed(word, metric.name) for word in words]
        if (sides := pair.sides(metric.name)) is not None:
            yield from (_budget(word, pair, sides, aim) for word in words)


def _unnamed(keyword: str, metric: str) -> str:
    """Return `max_flip_rate` for `max_accuracy_flip_rate`, and any other limit as it is."""
    return keyword.replace(f"_{metric}_", "_") if keyword.endswith("flip_rate") else keyword


def _budget(keyword: str, pair: _Pair, sides: Sides, aim: Aim) -> SuggestedBudget:
    try:
        found = suggest(keyword, sides, halves=pair.halves, aim=aim)
    except (MeasurementError, UsageError):  # the limit says nothing of such scores
        found = None
    nominal, halves, record = nominal_limit(keyword), pair.halves, pair.variant
    return SuggestedBudget(
        workload=record.workload,
        is_in_body=record.kind == _IN_BODY,
        variant=record.variant,
        variant_label=record.variant_label,
        keyword=keyword,
        unit=nominal.unit,
        n=(len(halves.proposing), len(halves.checking)),
        n_clusters=halves.n_units if pair.is_clustered else None,
        seen=found.seen.value if found else None,
        limit=found.limit if found else None,
        passing=found.passing if found else None,
        outcome=found.check.outcome.value if found and found.check else "",
        is_marked=nominal.statistic in _MARKED and sides.variant.metric == record.scores[0].metric,
    )

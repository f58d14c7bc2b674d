"""Parts of a workload: measurements of one slice, and a warning where a slice alone collapses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_quantcheck.core.grammar import suggestion
from pytest_quantcheck.core.limit import Bound, Limit, Statistic
from pytest_quantcheck.core.verdict import Levels, Outcome
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.stats.procedures import judge
from pytest_quantcheck.stats.scores import ExampleScores, metric_level

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from pytest_quantcheck.core.budget import Budget
    from pytest_quantcheck.core.verdict import Verdict
    from pytest_quantcheck.measure.measurement import Measurement
    from pytest_quantcheck.workloads.example import Example

CHANGES = (Statistic.DROP, Statistic.RISE, Statistic.LOG_RATIO, Statistic.RECOVERY)
"""Statistics of reference against variant that a slice may break alone."""


def slices_of(examples: Iterable[Example[Any]]) -> list[str]:
    """Return the slices of examples, in the order of their first one."""
    return list(dict.fromkeys(one.slice for one in examples if one.slice is not None))


def examples_of(
    budget: Budget, examples: Sequence[Example[Any]], *, workload: str
) -> Sequence[Example[Any]]:
    """Return the examples that a budget is about: those of its slice, or all.

    Raises
    ------
    UsageError
        No example is in a slice of that name.
    """
    if budget.slice is None:
        return examples
    if not (found := [one for one in examples if one.slice == budget.slice]):
        known = slices_of(examples)
        advice = suggestion(budget.slice, known) if known else "its examples have no field slice"
        raise UsageError(
            f"{budget.shown}: slice={budget.slice!r}: workload {workload} has no such slice; "
            f"{advice}"
        )
    return found


def restrict(measurement: Measurement, name: str) -> Measurement:
    """Return the measurement of one slice."""
    positions = [i for i, example in enumerate(measurement.examples) if example.slice == name]
    ids = {example.id for example in measurement.examples}
    inside = {measurement.examples[i].id for i in positions}
    return replace(
        measurement,
        examples=tuple(measurement.examples[i] for i in positions),
        outputs=tuple(measurement.outputs[i] for i in positions),
        divergences=tuple(measurement.divergences[i] for i in positions)
        if measurement.divergences
        else (),
        scores={
            metric: _of_examples(scores, ids=ids, inside=inside)
            for metric, scores in measurement.scores.items()
        },
    )


def _of_examples(scores: ExampleScores, *, ids: set[str], inside: set[str]) -> ExampleScores:
    """Return the scores of the examples `inside`; an example may be scored in parts, `id#1`."""
    owners = (found if found in ids else found.rpartition("#")[0] for found in scores.ids)
    kept = [row for row, owner in enumerate(owners) if owner in inside]
    return scores.taken(kept)


def collapsed(
    limit: Limit, metric: str, *, sides: tuple[Measurement, Measurement], levels: Levels
) -> Iterator[tuple[str, Verdict]]:
    """Yield each slice that is shown to exceed a limit the whole is not shown to exceed.

    The error rate of FAIL is divided by the number of slices, so that all of them together are
    as rarely wrong as the one budget.
    """
    names = slices_of(sides[0].examples)
    shares = replace(levels, alpha_fail=levels.alpha_fail / max(1, len(names)))
    for name in names if limit.statistic in CHANGES else ():
        reference, variant = (restrict(side, name).scores[metric] for side in sides)
        if not _exceeds(limit, metric_level(reference), metric_level(variant)):
            continue  # what is within the limit cannot be shown to exceed it
        verdict = judge(limit, reference, variant=variant, levels=shares)
        if verdict.outcome is Outcome.FAIL:
            yield name, verdict


def _exceeds(limit: Limit, reference: float, variant: float) -> bool:
    """Say whether the observed change is past the limit."""
    match limit.statistic:
        case Statistic.DROP:
            return reference - variant > limit.value
        case Statistic.RISE:
            return variant - reference > limit.value
        case _ if reference <= 0:
            return False  # nothing to keep
        case _:
            ratio = variant / reference
            return ratio > limit.value if limit.bound is Bound.UPPER else ratio < limit.value

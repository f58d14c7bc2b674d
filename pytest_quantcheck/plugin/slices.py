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
    from collections.abc import Collection, Iterator

    from pytest_quantcheck.core.verdict import Verdict
    from pytest_quantcheck.measure.measurement import Measurement

CHANGES = (Statistic.DROP, Statistic.RISE, Statistic.LOG_RATIO, Statistic.RECOVERY)
"""Statistics of reference against variant that a slice may break alone."""


def slices_of(measurement: Measurement) -> list[str]:
    """Return the slices of the examples, in the order of their first example."""
    named = (example.slice for example in measurement.examples)
    return list(dict.fromkeys(name for name in named if name is not None))


def restrict(measurement: Measurement, name: str, *, shown: str) -> Measurement:
    """Return the measurement of one slice.

    Raises
    ------
    UsageError
        No example is in a slice of that name.
    """
    check_slice(name, slices_of(measurement), workload=measurement.workload_name, shown=shown)
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


def check_slice(name: str, known: Collection[str], *, workload: str, shown: str) -> None:
    """Raise UsageError if no example is in a slice of that name."""
    if name not in known:
        place = f"{shown}: slice={name!r}: workload {workload} has no such slice"
        advice = suggestion(name, known) if known else "its examples have no field slice"
        raise UsageError(f"{place}; {advice}")


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
    names = slices_of(sides[0])
    shares = replace(levels, alpha_fail=levels.alpha_fail / max(1, len(names)))
    for name in names if limit.statistic in CHANGES else ():
        reference, variant = (restrict(side, name, shown="").scores[metric] for side in sides)
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

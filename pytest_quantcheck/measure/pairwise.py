"""Metrics of a pair of outputs: what the variant wrote, beside what the reference wrote."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pytest_quantcheck.measure.measurement import MeasuredPair
from pytest_quantcheck.measure.tasks.common import example_scores
from pytest_quantcheck.workloads.generation import Generation
from pytest_quantcheck.workloads.judge import JUDGED

if TYPE_CHECKING:
    from pytest_quantcheck.measure.measurement import Measurement
    from pytest_quantcheck.stats.scores import ExampleScores
    from pytest_quantcheck.workloads.base import Workload
    from pytest_quantcheck.workloads.judge import Judgement, OwnJudge

_MOST_TIMES_AS_LONG = 2


def pair(reference: Measurement, variant: Measurement, workload: Workload[Any]) -> MeasuredPair:
    """Return both measurements with the metrics that need both.

    Parameters
    ----------
    reference, variant : Measurement
        Of the same examples.
    workload : Workload
        Theirs. Only `Generation` has such metrics: `length_drift` is 1 where the variant wrote
        more than twice or less than half the tokens of the reference, whose own value is 0;
        `score` is what a judge says.

    Raises
    ------
    MeasurementError
        The judge returned no score. What it raises itself is raised on, with a note.
    """
    if not isinstance(workload, Generation):
        return MeasuredPair(reference=reference, variant=variant)
    before, after = dict(reference.scores), dict(variant.scores)
    drifts = [
        _is_drift(one.n_tokens, other.n_tokens)
        for one, other in zip(reference.outputs, variant.outputs, strict=True)
    ]
    judge = workload.output_scoring.judge
    judged = _judged(judge, workload, reference, variant) if judge else []
    for scores, is_variant in ((before, False), (after, True)):
        if judge:
            values = [one.variant if is_variant else one.reference for one in judged]
            scores[JUDGED] = example_scores(JUDGED, values, variant.examples, bounds=judge.bounds)
        scores["length_drift"] = example_scores(
            "length_drift", [drift * is_variant for drift in drifts], variant.examples
        )
    return MeasuredPair(
        reference=replace(reference, scores=_ordered(before, workload)),
        variant=replace(variant, scores=_ordered(after, workload)),
    )


def _is_drift(reference: int | None, variant: int | None) -> float:
    before, after = reference or 0, variant or 0
    shorter, longer = sorted((before, after))
    return float(longer > _MOST_TIMES_AS_LONG * shorter)


def _judged(
    judge: OwnJudge, workload: Generation, reference: Measurement, variant: Measurement
) -> list[Judgement]:
    found = []
    outputs = zip(reference.outputs, variant.outputs, strict=True)
    for example, (before, after) in zip(variant.examples, outputs, strict=True):
        case = workload.case(example)
        try:
            found.append(judge.judge(case.given, (before.text, after.text), place=case.place))
        except Exception as error:
            error.add_note(f"while judging {case.place}: {before.text!r} and {after.text!r}")
            raise
    return found


def _ordered(scores: dict[str, ExampleScores], workload: Generation) -> dict[str, ExampleScores]:
    """Return the scores in the order of the workload's metrics: the first stands in tables."""
    return {name: scores[name] for name in workload.metrics}

"""The reference measured again: other packs, another order, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_quantcheck.measure.divergence import with_divergences
from pytest_quantcheck.measure.outcome import Failed, attempt
from pytest_quantcheck.measure.pairwise import pair

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_quantcheck.measure.course import Course
    from pytest_quantcheck.measure.divergence_meter import DivergenceMeter
    from pytest_quantcheck.measure.measurement import MeasuredPair, Measurement
    from pytest_quantcheck.stats.scores import ExampleScores
    from pytest_quantcheck.workloads.base import Workload

_OTHER_LIMIT = 7
"""Few sequences, and an odd number: other shapes, so that other kernels are chosen."""


class NoiseMeter:
    """Measures the reference twice on each workload, once.

    Parameters
    ----------
    measure_part : callable
        Measures a part of a course on the reference.
    course : callable
        Returns the course of a workload.
    comparer : DivergenceMeter
        Compares predictions, where that is asked.

    Notes
    -----
    Measured is a workload's first part: all of it, or a seeded subset where it is measured in
    batches. The second time it is measured from last to first, in packs of few sequences.
    """

    def __init__(
        self,
        measure_part: Callable[..., Measurement],
        course: Callable[[Workload[Any]], Course],
        comparer: DivergenceMeter,
    ) -> None:
        self._measure_part = measure_part
        self._course = course
        self._comparer = comparer
        self._known: dict[Workload[Any], MeasuredPair | Failed] = {}

    def forget(self, workload: Workload[Any]) -> None:
        """Put a workload's pair together again when next asked: more is asked of it."""
        self._known.pop(workload, None)

    def measure(self, workload: Workload[Any]) -> MeasuredPair:
        """Return both measurements of the reference as a pair; a judge compares the two.

        Raises
        ------
        QuantcheckError
            See `Runner.measure` and `pair`; the same error for whoever asks again.
        """
        if workload not in self._known:
            self._known[workload] = attempt(lambda: self._measure(workload))
        known = self._known[workload]
        if isinstance(known, Failed):
            known.again()
        return known

    def _measure(self, workload: Workload[Any]) -> MeasuredPair:
        measure = partial(self._measure_part, self._course(workload), 0)
        first = measure(pack_limit=None)
        second = measure(pack_limit=other_limit(first.pack_limit), is_again=True)
        found = pair(first, in_order_of(first, second), workload)
        limits = (first.pack_limit, second.pack_limit)
        compared = self._comparer.noise(self._course(workload), 0, limits=limits)
        return with_divergences(found, compared) if compared else found


def in_order_of(first: Measurement, second: Measurement) -> Measurement:
    """Return the second measurement of the same examples in the order of the first."""
    outputs = {
        example.id: output for example, output in zip(second.examples, second.outputs, strict=True)
    }
    return replace(
        first,
        scores={
            name: _in_order_of(scores, second.scores[name]) for name, scores in first.scores.items()
        },
        outputs=tuple(outputs[example.id] for example in first.examples),
        seconds=second.seconds,
        pack_limit=second.pack_limit,
    )


def _in_order_of(first: ExampleScores, second: ExampleScores) -> ExampleScores:
    """Return the scores of examples, or of blocks of documents, in the order of the first.

    Codes of clusters depend on the order in which examples were measured.
    """
    places = {name: place for place, name in enumerate(second.ids)}
    found = second.taken([places[name] for name in first.ids])
    return replace(found, clusters=first.clusters)


def other_limit(limit: int | None) -> int:
    """Return another limit of a pack than the one measured with; 1 where that was 1."""
    return _OTHER_LIMIT if limit is None or limit > _OTHER_LIMIT else max(1, limit // 2)


def is_identical(found: MeasuredPair) -> bool:
    """Whether scores and outputs of a pair agree bit for bit."""
    one, other = found.reference, found.variant
    return one.outputs == other.outputs and all(
        (one.scores[name].values == other.scores[name].values).all() for name in one.scores
    )


def margin_change(found: MeasuredPair) -> float | None:
    """Return the mean absolute change of the margins, in nats; None where there are none."""
    pairs = zip(found.reference.outputs, found.variant.outputs, strict=True)
    changes = [
        abs(other.margin - one.margin)
        for one, other in pairs
        if one.margin is not None and other.margin is not None
    ]
    return sum(changes) / len(changes) if changes else None

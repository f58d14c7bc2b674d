"""Per-example records, made where models are measured and carried to where pytest reports."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_quantcheck.core.examples import (
    LONGEST_OUTPUT,
    ExamplesRecord,
    ScoresRecord,
    key_of,
    to_line,
)
from pytest_quantcheck.core.metric import METRICS
from pytest_quantcheck.core.redaction import redacted_examples
from pytest_quantcheck.plugin.drawn import course_record
from pytest_quantcheck.workloads.example import DocumentItem

if TYPE_CHECKING:
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from pytest_quantcheck.core.redaction import Redact
    from pytest_quantcheck.measure.course import Course
    from pytest_quantcheck.measure.measurement import Measurement
    from pytest_quantcheck.plugin.evaluate import Pair, Side
    from pytest_quantcheck.stats.scores import ExampleScores


class Outbox:
    """Per-example records of this process, each handed to a report once.

    Parameters
    ----------
    is_asked : bool
        Whether they are written at all.
    redact : Redact
        What they leave out.
    """

    def __init__(self, *, is_asked: bool, redact: Redact) -> None:
        self._is_asked = is_asked
        self._redact = redact
        self._keys: dict[tuple[str, Measurement], str] = {}
        self._made: set[str] = set()
        self._waiting: list[str] = []

    def add(self, pair: Pair) -> Pair:
        """Keep what was measured for the next report; return the pair with its key."""
        if not self._is_asked or pair.variant.measurement is None:
            return pair
        reference = self._key(pair.reference, None)
        beside = (reference, pair.reference)
        return replace(pair, examples=self._key(pair.variant, beside, pair.course))

    def take(self) -> list[str]:
        """Return the lines that no report has carried yet."""
        lines, self._waiting = self._waiting, []
        return lines

    def _key(
        self, side: Side, reference: tuple[str, Side] | None, course: Course | None = None
    ) -> str:
        measured = side.measurement
        assert measured is not None  # noqa: S101 - both sides are measured, or none
        # Measurements are equal by identity, and made once for each pair.
        known = (reference[0] if reference else "", measured)
        if known not in self._keys:
            record = _record(side, measured, reference)
            if course is not None:
                record = replace(record, course=course_record(course, record.ids))
            line = to_line(redacted_examples(record, self._redact))
            key = self._keys[known] = key_of(line)
            if key not in self._made:
                self._made.add(key)
                self._waiting.append(line)
        return self._keys[known]


def _record(
    side: Side, measured: Measurement, reference: tuple[str, Side] | None
) -> ExamplesRecord:
    from pytest_quantcheck.measure.parting import divergences
    from pytest_quantcheck.plugin.gallery import capped

    beside = reference[1].measurement if reference else None
    ids = tuple(example.id for example in measured.examples)
    whole = [scores for scores in measured.scores.values() if scores.ids == ids]
    clusters = whole[0].clusters if whole else None
    slices = [example.slice for example in measured.examples]
    margins = [output.margin for output in measured.outputs]
    n_tokens = [output.n_tokens for output in measured.outputs]
    return ExamplesRecord(
        model=side.model,
        workload=measured.workload_name,
        variant=measured.variant.name,
        variant_label=side.label,
        kind=measured.kind,
        fingerprint=measured.fingerprint,
        reference=reference[0] if reference else None,
        n_planned=measured.n_planned,
        ids=[*ids],
        clusters=_plain(clusters),
        slices=slices if any(name is not None for name in slices) else None,
        course=None,
        scores=[
            _scores(scores, ids)
            for name, scores in measured.scores.items()
            if reference is not None or not METRICS[name].is_of_pair  # a reference's are ideal
        ],
        outputs=[capped(output.text, LONGEST_OUTPUT) for output in measured.outputs],
        **_asked(beside, measured),
        margins=margins if any(margin is not None for margin in margins) else None,
        n_tokens=n_tokens if any(count is not None for count in n_tokens) else None,
        first_divergence=divergences(beside, measured) if beside else None,
    )


def _asked(reference: Measurement | None, measured: Measurement) -> dict[str, Any]:
    """Return prompts and right answers of the examples that changed, where there are any."""
    from pytest_quantcheck.plugin.gallery import asked_in, capped

    found = _changed(reference, measured) if reference else set()
    if not found or isinstance(measured.examples[0].item, DocumentItem):
        return {"prompts": None, "expected": None}
    pairs = [asked_in(one.item) if one.id in found else None for one in measured.examples]
    return {
        name: [capped(pair[side], LONGEST_OUTPUT) if pair else None for pair in pairs]
        for side, name in enumerate(("prompts", "expected"))
    }


def _changed(reference: Measurement, measured: Measurement) -> set[str]:
    """Return the ids of the examples on which any metric differs."""
    return {
        name
        for metric, scores in measured.scores.items()
        if metric in reference.scores and not METRICS[metric].is_of_pair
        for name, is_other in zip(
            scores.ids, scores.values != reference.scores[metric].values, strict=True
        )
        if is_other
    }


def _scores(scores: ExampleScores, ids: tuple[str, ...]) -> ScoresRecord:
    is_whole, found = scores.ids == ids, scores.observations
    return ScoresRecord(
        metric=scores.metric,
        values=scores.values.tolist(),
        weights=scores.weights.tolist() if (scores.weights != 1).any() else None,
        ids=None if is_whole else [*scores.ids],
        clusters=None if is_whole else _plain(scores.clusters),
        bounds=[*map(float, scores.bounds)] if scores.bounds else None,
        observations=None if found is None else [one.tolist() for one in found],
        is_identical=scores.is_identical,
    )


def _plain(clusters: NDArray[np.int64] | None) -> list[int] | None:
    return None if clusters is None else clusters.tolist()

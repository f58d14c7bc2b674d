"""The examples that changed most: what an engineer looks at first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_quantcheck.core.metric import METRICS, Direction
from pytest_quantcheck.core.record import ExampleRecord
from pytest_quantcheck.workloads.example import ChoiceItem, DocumentItem, GenerationItem, LabelItem

if TYPE_CHECKING:
    from pytest_quantcheck.measure.measurement import Measurement, Output
    from pytest_quantcheck.workloads.example import Example

_N_WORST = 5
_LONGEST_TEXT = 2000


def worst_examples(
    reference: Measurement | None, variant: Measurement | None, metric: str
) -> list[ExampleRecord]:
    """Return the examples with the largest change, those that got worse first."""
    if reference is None or variant is None:
        return []
    before = _by_example(reference, metric)
    after = _by_example(variant, metric)
    falls_when_worse = METRICS[metric].direction is Direction.HIGHER_IS_BETTER
    changes = []
    for position, example in enumerate(variant.examples):
        if example.id in before and before[example.id] != after[example.id]:
            change = before[example.id] - after[example.id]
            loss = change if falls_when_worse else -change
            pair = (reference.outputs[position], variant.outputs[position])
            changes.append((loss, _lead(pair), position))
    changes.sort(key=lambda change: (-change[0], -change[1], change[2]))
    sides, values = (reference, variant), (before, after)
    return [
        _record(variant.examples[position], position, sides, values, is_worse=loss > 0)
        for loss, _, position in changes[:_N_WORST]
    ]


def _by_example(measurement: Measurement, metric: str) -> dict[str, float]:
    """Return the value per observation of each example: right or wrong, score, nats per token."""
    scores = measurement.scores[metric]
    values = (scores.values / scores.weights).tolist()
    return dict(zip(scores.ids, values, strict=True))


def _lead(outputs: tuple[Output, Output]) -> float:
    """Return how far the right choice fell back, in nats; 0 without choices."""
    before, after = outputs[0].margin, outputs[1].margin
    return before - after if before is not None and after is not None else 0.0


def _record(
    example: Example[Any],
    position: int,
    sides: tuple[Measurement, Measurement],
    values: tuple[dict[str, float], dict[str, float]],
    *,
    is_worse: bool,
) -> ExampleRecord:
    prompt, expected = _asked(example.item)
    outputs = sides[0].outputs[position], sides[1].outputs[position]
    before, after = values[0][example.id], values[1][example.id]
    return ExampleRecord(
        example=example.id,
        slice=example.slice,
        prompt=prompt[:_LONGEST_TEXT],
        expected=expected[:_LONGEST_TEXT],
        reference_output=outputs[0].text[:_LONGEST_TEXT],
        variant_output=outputs[1].text[:_LONGEST_TEXT],
        reference_value=before,
        variant_value=after,
        is_worse=is_worse,
        reference_margin=outputs[0].margin,
        variant_margin=outputs[1].margin,
    )


def _asked(item: ChoiceItem | GenerationItem | LabelItem | DocumentItem) -> tuple[str, str]:
    match item:
        case ChoiceItem():
            return item.context, item.choices[item.answer]
        case GenerationItem():
            return item.prompt, " | ".join(item.answers)
        case LabelItem():
            return item.prompt, item.label
    return item.text, ""

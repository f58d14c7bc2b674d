"""The examples that changed most: what an engineer looks at first."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_quantcheck.core.metric import METRICS, Direction
from pytest_quantcheck.core.quantity import format_count
from pytest_quantcheck.core.record import ExampleRecord, SliceRecord
from pytest_quantcheck.measure.parting import divergences, first_divergence
from pytest_quantcheck.report.diff import first_difference
from pytest_quantcheck.stats.concentration import concentration_pvalue
from pytest_quantcheck.workloads.example import ChoiceItem, DocumentItem, GenerationItem, LabelItem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantcheck.measure.measurement import Measurement, Output
    from pytest_quantcheck.workloads.example import Example

_N_WORST = 5
_N_BEST = 1
_MOST_SLICES = 20
_LONGEST_TEXT = 20_000
_MOST_FIELDS, _LONGEST_FIELD = 10, 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """How the examples of a workload changed between reference and variant."""

    shown: tuple[ExampleRecord, ...] = ()
    """Those that got worse most, then the one that got better most."""
    n_worse: int = 0
    n_better: int = 0
    slices: tuple[SliceRecord, ...] = ()
    """Those with the most that got worse first."""
    n_diverged: int | None = None
    """Generated outputs that differ; None where none are generated."""
    mean_first_divergence: float | None = None
    """Tokens that these share before they part, on average."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    position: int
    loss: float
    """How much worse the variant is, in the metric's unit; negative if it is better."""
    lead: float
    """How far the right choice fell back, in nats; 0 without choices."""


def examine_changes(
    reference: Measurement | None, variant: Measurement | None, metric: str
) -> Changes:
    """Return what changed between two measurements of one workload."""
    if reference is None or variant is None:
        return Changes()
    before, after = _by_example(reference, metric), _by_example(variant, metric)
    sign = 1 if METRICS[metric].direction is Direction.HIGHER_IS_BETTER else -1
    changes = [
        _Change(
            position=position,
            loss=sign * (before[example.id] - after[example.id]),
            lead=_lead(reference.outputs[position], variant.outputs[position]),
        )
        for position, example in enumerate(variant.examples)
        if example.id in before and before[example.id] != after[example.id]
    ]
    worse = [change for change in changes if change.loss > 0]
    better = [change for change in changes if change.loss <= 0]
    worse.sort(key=lambda change: (-change.loss, -change.lead, change.position))
    better.sort(key=lambda change: (change.loss, change.lead, change.position))
    sides, values = (reference, variant), (before, after)
    return Changes(
        shown=tuple(
            _record(sides, values, change) for change in (*worse[:_N_WORST], *better[:_N_BEST])
        ),
        n_worse=len(worse),
        n_better=len(better),
        slices=_slices(variant.examples, worse, better),
        **_parting(reference, variant),
    )


def _parting(reference: Measurement, variant: Measurement) -> dict[str, Any]:
    found = divergences(reference, variant)
    if found is None:
        return {}
    places = [place for place in found if place is not None]
    mean = sum(places) / len(places) if places else None
    return {"n_diverged": len(places), "mean_first_divergence": mean}


def _by_example(measurement: Measurement, metric: str) -> dict[str, float]:
    """Return the value per observation of each example: right or wrong, score, or nats."""
    scores = measurement.scores[metric]
    is_sum = scores.observations is None
    values = (scores.values / scores.weights if is_sum else scores.values).tolist()
    return dict(zip(scores.ids, values, strict=True))


def _lead(before: Output, after: Output) -> float:
    if before.margin is None or after.margin is None:
        return 0.0
    return before.margin - after.margin


def _slices(
    examples: Sequence[Example[Any]],
    worse: Sequence[_Change],
    better: Sequence[_Change],
) -> tuple[SliceRecord, ...]:
    sizes = Counter(example.slice for example in examples if example.slice is not None)
    lost = Counter(examples[change.position].slice for change in worse)
    gained = Counter(examples[change.position].slice for change in better)
    first = sorted(sizes, key=lambda name: (-lost[name], name))[:_MOST_SLICES]
    return tuple(
        SliceRecord(
            slice=name,
            n=sizes[name],
            n_worse=lost[name],
            n_better=gained[name],
            p_concentrated=concentration_pvalue(
                lost[name], sizes[name], lost_in_all=len(worse), n_in_all=len(examples)
            ),
        )
        for name in first
    )


def _record(
    sides: tuple[Measurement, Measurement],
    values: tuple[dict[str, float], dict[str, float]],
    change: _Change,
) -> ExampleRecord:
    example = sides[1].examples[change.position]
    prompt, expected = asked_in(example.item)
    outputs = sides[0].outputs[change.position], sides[1].outputs[change.position]
    texts = _capped_pair(outputs[0].text, outputs[1].text)
    return ExampleRecord(
        example=example.id,
        slice=example.slice,
        prompt=capped(prompt),
        expected=capped(expected),
        fields=_fields(example),
        reference_output=texts[0],
        variant_output=texts[1],
        reference_value=values[0][example.id],
        variant_value=values[1][example.id],
        is_worse=change.loss > 0,
        reference_margin=outputs[0].margin,
        variant_margin=outputs[1].margin,
        first_divergence=first_divergence(outputs[0].tokens, outputs[1].tokens),
    )


def _fields(example: Example[Any]) -> dict[str, str]:
    """Return what the data says besides of an example, as short texts."""
    texts = {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in list(example.extra.items())[:_MOST_FIELDS]
    }
    return {
        capped(name, _LONGEST_FIELD): capped(text, _LONGEST_FIELD) for name, text in texts.items()
    }


def capped(text: str, longest: int = _LONGEST_TEXT) -> str:
    """Return `text`, or its beginning and its end."""
    if len(text) <= longest:
        return text
    half = longest // 2
    return text[:half] + _left_out(len(text) - longest) + text[-half:]


def _capped_pair(reference: str, variant: str) -> tuple[str, str]:
    """Return both texts, or of both the part around their first difference."""
    if max(len(reference), len(variant)) <= _LONGEST_TEXT:
        return reference, variant
    start = max(0, first_difference(reference, variant) - _LONGEST_TEXT // 2)
    end = start + _LONGEST_TEXT
    before = _left_out(start)
    return (
        before + reference[start:end] + _left_out(len(reference) - end),
        before + variant[start:end] + _left_out(len(variant) - end),
    )


def _left_out(count: int) -> str:
    return f"[{format_count(count)} characters left out]" if count > 0 else ""


def asked_in(item: ChoiceItem | GenerationItem | LabelItem | DocumentItem) -> tuple[str, str]:
    """Return what was asked, and what would be right."""
    match item:
        case ChoiceItem():
            return item.context, item.choices[item.answer]
        case GenerationItem():
            return item.prompt, " | ".join(item.answers)
        case LabelItem():
            return item.prompt, item.label
    return item.text, ""

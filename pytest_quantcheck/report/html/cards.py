"""The examples that changed, as data that the page's script shows card by card."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from pytest_quantcheck.core.metric import METRICS, Direction
from pytest_quantcheck.core.quantity import Unit
from pytest_quantcheck.core.redaction import REDACTED
from pytest_quantcheck.report import wording
from pytest_quantcheck.report.html.texts import as_script_data, capped, capped_pair, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_quantcheck.core.examples import ExamplesRecord
    from pytest_quantcheck.core.fingerprint import Plain
    from pytest_quantcheck.core.record import CheckRecord, ExampleRecord, RunRecord

ValueT = TypeVar("ValueT")
MOST_CARDS = 3_000
MOST_BYTES = 8_000_000
"""Of all cards together: the page stays below 10 MB."""
LONG_BYTES = 4_000_000
"""Of the cards whose texts are shown at length."""
LONGEST_TEXT = 4_000
_SHORT_TEXT = 200
"""In cards behind these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One example on which reference and variant differ."""

    workload: str
    variant: str
    metric: str
    example: str
    slice: str | None
    prompt: str | None
    expected: str | None
    reference_output: str
    variant_output: str
    reference_value: float
    variant_value: float
    reference_margin: float | None
    variant_margin: float | None
    first_divergence: int | None

    @property
    def loss(self) -> float:
        """How much worse the variant is, in the metric's unit."""
        return _sign(self.metric) * (self.reference_value - self.variant_value)

    @property
    def lead(self) -> float:
        """How far the right choice fell back, in nats."""
        if self.reference_margin is None or self.variant_margin is None:
            return 0.0
        return self.reference_margin - self.variant_margin


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """What the page shows of the examples that changed."""

    data: str
    """Cards as JSON that may stand in a page."""
    n_cards: int
    n_changed: int
    """All there are; more than the cards, where these are too many for one page."""


def gallery_of(run: RunRecord, examples: Mapping[str, ExamplesRecord]) -> Gallery:
    """Return the examples that changed most, those that got worse first."""
    found: dict[tuple[str, ...], Change] = {}
    read: set[tuple[str, str]] = set()
    for check in run.checks:
        for change in _known_in_full(check):
            found.setdefault(_key(check, change), change)
        record = examples.get(check.examples or "")
        reference = examples.get(record.reference or "") if record else None
        if (check.examples or "", check.metric) in read or wording.is_of_documents(check):
            continue
        if record is not None and reference is not None:
            read.add((check.examples or "", check.metric))
            for change in _recorded(check.metric, record, reference):
                found.setdefault(_key(check, change), change)
    changes = [change for change in found.values() if change.reference_output != REDACTED]
    cards = [*_cards(_in_turn(changes))]
    return Gallery(data=f"[{','.join(cards)}]", n_cards=len(cards), n_changed=len(changes))


def _in_turn(changes: Sequence[Change]) -> list[Change]:
    """Return as many changes as a page holds, those that got worse first.

    Of each workload and variant the largest comes first, then the second of each, and so on.
    """
    groups: dict[tuple[object, ...], list[Change]] = {}
    for change in sorted(changes, key=lambda one: (-abs(one.loss), -abs(one.lead))):
        key = (change.workload, change.variant, change.metric, change.loss > 0)
        groups.setdefault(key, []).append(change)
    ranked = [(rank, one) for group in groups.values() for rank, one in enumerate(group)]
    ranked.sort(key=lambda pair: pair[0])
    return [one for _, one in sorted(ranked[:MOST_CARDS], key=lambda pair: pair[1].loss <= 0)]


def _key(check: CheckRecord, change: Change) -> tuple[str, ...]:
    return check.model, check.fingerprint, change.variant, change.metric, change.example


def _known_in_full(check: CheckRecord) -> Iterator[Change]:
    """Yield the examples of a failure's text, which are kept at greater length."""
    if wording.compares_predictions(check):
        return
    for one in check.worst:
        yield Change(
            workload=check.workload,
            variant=check.variant_label,
            metric=check.metric,
            example=one.example,
            slice=one.slice,
            prompt=one.prompt,
            expected=one.expected,
            **_outputs(check, one),
            reference_value=one.reference_value,
            variant_value=one.variant_value,
            reference_margin=one.reference_margin,
            variant_margin=one.variant_margin,
            first_divergence=one.first_divergence,
        )


def _outputs(check: CheckRecord, one: ExampleRecord) -> dict[str, str]:
    """Return both outputs; a document's is its own text, which the prompt shows."""
    if wording.is_of_documents(check) and one.prompt != REDACTED:
        return {"reference_output": "", "variant_output": ""}
    return {"reference_output": one.reference_output, "variant_output": one.variant_output}


def _recorded(metric: str, record: ExamplesRecord, reference: ExamplesRecord) -> Iterator[Change]:
    """Yield every example of a measurement on which one metric differs."""
    after, before = record.rows_of(metric), reference.rows_of(metric)
    if after is None or before is None or after.ids != record.ids or before.ids != record.ids:
        return
    for place, values in enumerate(zip(before.values, after.values, strict=True)):
        if values[0] == values[1]:
            continue
        yield Change(
            workload=record.workload,
            variant=record.variant_label,
            metric=metric,
            example=record.ids[place],
            slice=_at(record.slices, place),
            prompt=_at(record.prompts, place),
            expected=_at(record.expected, place),
            reference_output=reference.outputs[place],
            variant_output=record.outputs[place],
            reference_value=values[0],
            variant_value=values[1],
            reference_margin=_at(reference.margins, place),
            variant_margin=_at(record.margins, place),
            first_divergence=_at(record.first_divergence, place),
        )


def _at(column: Sequence[ValueT | None] | None, place: int) -> ValueT | None:
    return None if column is None else column[place]


def _sign(metric: str) -> int:
    return 1 if METRICS[metric].direction is Direction.HIGHER_IS_BETTER else -1


def _cards(changes: Sequence[Change]) -> Iterator[str]:
    """Yield cards as JSON, as many as a page may hold."""
    used = 0
    for change in changes:
        card = _card(change, LONGEST_TEXT if used < LONG_BYTES else _SHORT_TEXT)
        text = as_script_data({name: value for name, value in card.items() if value is not None})
        used += len(text.encode())
        if used > MOST_BYTES:
            return
        yield text


def _card(change: Change, longest: int) -> dict[str, Plain]:
    """Return one card; names are short because they stand thousands of times."""
    outputs = capped_pair(change.reference_output, change.variant_output, longest)
    return {
        "w": shown(change.workload),
        "v": shown(change.variant),
        "m": change.metric,
        "i": shown(change.example),
        "s": None if change.slice is None else shown(change.slice),
        "p": None if change.prompt is None else capped(change.prompt, longest),
        "e": None if change.expected is None else capped(change.expected, longest),
        "a": outputs.reference,
        "b": outputs.variant,
        "k": "worse" if change.loss > 0 else "better",
        "f": True if METRICS[change.metric].is_correctness else None,
        "c": _change(change),
    }


def _change(change: Change) -> str:
    """Return what became of the example in a few words."""
    before, after = change.reference_value, change.variant_value
    metric = METRICS[change.metric]
    if metric.level_unit is Unit.PERPLEXITY:
        return f"{before:.3f} → {after:.3f} nats per token"
    at = change.first_divergence
    parting = "" if at is None else f" · parts at token {at + 1:,}"
    if not metric.is_correctness:
        return f"{metric.name} {before:g} → {after:g}{parting}"
    if change.reference_margin is None or change.variant_margin is None:
        return parting.removeprefix(" · ")
    return f"margin {change.reference_margin:+.2f} → {change.variant_margin:+.2f} nats{parting}"

"""The examples that changed, as data that the page's script shows card by card."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from pytest_quantcheck.core.metric import METRICS, Direction
from pytest_quantcheck.core.quantity import Unit
from pytest_quantcheck.core.record import ExampleRecord
from pytest_quantcheck.core.redaction import REDACTED
from pytest_quantcheck.report import wording
from pytest_quantcheck.report.gallery import fields_text
from pytest_quantcheck.report.html.texts import as_script_data, capped, capped_pair, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_quantcheck.core.examples import ExamplesRecord
    from pytest_quantcheck.core.fingerprint import Plain
    from pytest_quantcheck.core.metric import Metric
    from pytest_quantcheck.core.record import CheckRecord, RunRecord

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
    of: ExampleRecord

    @property
    def size(self) -> float:
        """How far the metric moved, in its unit."""
        return abs(self.of.reference_value - self.of.variant_value)

    @property
    def shift(self) -> float:
        """How far the lead of the right choice moved, in nats."""
        if self.of.reference_margin is None or self.of.variant_margin is None:
            return 0.0
        return abs(self.of.reference_margin - self.of.variant_margin)


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
    changes = [one for one in found.values() if one.of.reference_output != REDACTED]
    cards = [*_cards(_in_turn(changes))]
    return Gallery(data=f"[{','.join(cards)}]", n_cards=len(cards), n_changed=len(changes))


def _in_turn(changes: Sequence[Change]) -> list[Change]:
    """Return as many changes as a page holds, those that got worse first.

    Of each workload and variant the largest comes first, then the second of each, and so on.
    """
    groups: dict[tuple[object, ...], list[Change]] = {}
    for change in sorted(changes, key=lambda one: (-one.size, -one.shift)):
        key = (change.workload, change.variant, change.metric, change.of.is_worse)
        groups.setdefault(key, []).append(change)
    ranked = [(rank, one) for group in groups.values() for rank, one in enumerate(group)]
    ranked.sort(key=lambda pair: pair[0])
    return [one for _, one in sorted(ranked[:MOST_CARDS], key=lambda pair: not pair[1].of.is_worse)]


def _key(check: CheckRecord, change: Change) -> tuple[str, ...]:
    return check.model, check.fingerprint, change.variant, change.metric, change.of.example


def _known_in_full(check: CheckRecord) -> Iterator[Change]:
    """Yield the examples of a failure's text, which are kept at greater length."""
    if wording.compares_predictions(check):
        return
    for one in check.worst:
        # A document's outputs are its own text, which the prompt shows.
        is_text = wording.is_of_documents(check) and one.prompt != REDACTED
        yield Change(
            workload=check.workload,
            variant=check.variant_label,
            metric=check.metric,
            of=replace(one, reference_output="", variant_output="") if is_text else one,
        )


def _recorded(metric: str, record: ExamplesRecord, reference: ExamplesRecord) -> Iterator[Change]:
    """Yield every example of a measurement on which one metric differs."""
    after, before = record.rows_of(metric), reference.rows_of(metric)
    if after is None or before is None or after.ids != record.ids or before.ids != record.ids:
        return
    is_higher = METRICS[metric].direction is Direction.HIGHER_IS_BETTER
    for place, (early, late) in enumerate(zip(before.values, after.values, strict=True)):
        if early == late:
            continue
        example = ExampleRecord(
            example=record.ids[place],
            slice=_at(record.slices, place),
            prompt=_at(record.prompts, place) or "",
            expected=_at(record.expected, place) or "",
            fields={},
            reference_output=reference.outputs[place],
            variant_output=record.outputs[place],
            reference_value=early,
            variant_value=late,
            is_worse=late < early if is_higher else late > early,
            reference_margin=_at(reference.margins, place),
            variant_margin=_at(record.margins, place),
            first_divergence=_at(record.first_divergence, place),
        )
        yield Change(
            workload=record.workload, variant=record.variant_label, metric=metric, of=example
        )


def _at(column: Sequence[ValueT | None] | None, place: int) -> ValueT | None:
    return None if column is None else column[place]


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
    one = change.of
    outputs = capped_pair(one.reference_output, one.variant_output, longest)
    return {
        "w": shown(change.workload),
        "v": shown(change.variant),
        "m": change.metric,
        "i": shown(one.example),
        "s": None if one.slice is None else shown(one.slice),
        "p": capped(one.prompt, longest) or None,
        "e": capped(one.expected, longest) or None,
        "d": shown(fields_text(one)) if one.fields else None,
        "a": outputs.reference,
        "b": outputs.variant,
        "k": "worse" if one.is_worse else "better",
        "f": True if METRICS[change.metric].is_correctness else None,
        "c": _movement(METRICS[change.metric], one),
    }


def _movement(metric: Metric, one: ExampleRecord) -> str:
    """Return what became of the example in a few words."""
    before, after = one.reference_value, one.variant_value
    if metric.level_unit is Unit.PERPLEXITY:
        return f"{before:.3f} → {after:.3f} nats per {metric.per}"
    at = one.first_divergence
    parting = "" if at is None else f" · parts at token {at + 1:,}"
    if not metric.is_correctness:
        return f"{metric.name} {before:g} → {after:g}{parting}"
    if one.reference_margin is None or one.variant_margin is None:
        return parting.removeprefix(" · ")
    return f"margin {one.reference_margin:+.2f} → {one.variant_margin:+.2f} nats{parting}"

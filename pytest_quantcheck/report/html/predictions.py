"""Perplexity and divergence: figures of each variant, and how they are spread."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantcheck.core.quantity import Unit, format_count, format_quantity
from pytest_quantcheck.core.redaction import REDACTED
from pytest_quantcheck.report.html.axis import Axis, padded
from pytest_quantcheck.report.html.frontier import Tick
from pytest_quantcheck.report.html.texts import NONE, capped, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_quantcheck.core.examples import ExamplesRecord
    from pytest_quantcheck.core.record import MeasurementRecord, RunRecord
    from pytest_quantcheck.core.tokens import TextLossRecord, TokenRecord

WIDTH, STRIP = 660, 52
START, END = 20, 640
_BASE, _TALL = 40, 30
_N_BINS = 64
_LEAST_KL = 1e-7
_CONTEXT = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One variant on one workload of documents."""

    workload: str
    variant: str
    perplexity: str
    ratio: str
    word_perplexity: str
    byte_perplexity: str
    bits_per_byte: str
    mean_kl: str
    p99_kl: str
    max_kl: str
    agreement: str
    delta_p: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """How the values of one variant are spread."""

    variant: str
    area: str
    """Outline of the histogram, as an SVG path; empty where single values are not kept."""
    marks: list[Tick]
    text: str
    """The same in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A chart of strips on one axis."""

    title: str
    caption: str
    ticks: list[Tick]
    zero: float | None
    strips: list[Strip]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownToken:
    """One token whose prediction changed much."""

    workload: str
    variant: str
    place: str
    context: str
    text: str
    kl: str
    delta_p: str
    reference: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Values:
    """What one variant's strip is drawn from."""

    variant: str
    values: list[float]
    marks: dict[str, float]


def figures(run: RunRecord) -> list[Figures]:
    """Return a row for each variant of each workload whose tokens are predicted."""
    references = {
        (one.model, one.fingerprint): one.level for one in run.measurements if one.is_reference
    }
    return [
        _figures(one, references.get((one.model, one.fingerprint)))
        for one in run.measurements
        if one.level_unit == Unit.PERPLEXITY.value
    ]


def _figures(one: MeasurementRecord, reference: float | None) -> Figures:
    found = one.divergence
    nats = [NONE] * 3
    if found is not None:
        values = (found.mean_kl, found.p99_kl, found.max_kl)
        nats = [format_quantity(value, Unit.NATS) for value in values]
    ratio = one.level / reference if reference and not one.is_reference else None
    return Figures(
        workload=shown(one.workload),
        variant=shown(one.variant_label),
        perplexity=format_quantity(one.level, Unit.PERPLEXITY),
        ratio=NONE if ratio is None else format_quantity(ratio, Unit.RATIO),
        **_of_text(one.text_loss),
        mean_kl=nats[0],
        p99_kl=nats[1],
        max_kl=nats[2],
        agreement=format_quantity(found.top1_agreement, Unit.FRACTION) if found else NONE,
        delta_p=format_quantity(found.delta_p_rms, Unit.POINTS) if found else NONE,
    )


def _of_text(loss: TextLossRecord | None) -> dict[str, str]:
    forms = {"word_perplexity": ".2f", "byte_perplexity": ".4f", "bits_per_byte": ".4f"}
    return {name: f"{getattr(loss, name):{one}}" if loss else NONE for name, one in forms.items()}


def spreads(run: RunRecord, examples: Mapping[str, ExamplesRecord]) -> list[Spread]:
    """Return the charts of divergences and of perplexities, a pair for each workload."""
    charts = []
    for name in dict.fromkeys(
        (one.model, one.fingerprint)
        for one in run.measurements
        if one.level_unit == Unit.PERPLEXITY.value
    ):
        mine = [one for one in run.measurements if (one.model, one.fingerprint) == name]
        records = {
            one.variant_label: one
            for one in examples.values()
            if (one.model, one.fingerprint) == name and one.reference
        }
        charts += [_of_divergence(mine, records), _of_perplexity(mine[0], records, examples)]
    return [chart for chart in charts if chart is not None]


def _of_divergence(
    measured: Sequence[MeasurementRecord], records: Mapping[str, ExamplesRecord]
) -> Spread | None:
    found = [
        _Values(
            variant=one.variant_label,
            values=_divergences(records.get(one.variant_label)),
            marks={
                "mean": one.divergence.mean_kl,
                "p99": one.divergence.p99_kl,
                "max": one.divergence.max_kl,
            },
        )
        for one in measured
        if one.divergence is not None and one.divergence.max_kl > 0
    ]
    numbers = _finite(number for one in found for number in (*one.values, *one.marks.values()))
    positive = [number for number in numbers if number > 0]
    if not positive:
        return None
    low, high = max(min(positive), _LEAST_KL), max(positive)
    low, high = min(low, high / 100), high * 1.3
    axis = Axis(low=low, high=high, start=START, end=END, is_log=True)
    return Spread(
        title=f"{shown(measured[0].workload)}: KL(reference ‖ variant)",
        caption="nats, logarithmic; each token where its divergence is kept, else each document",
        ticks=[Tick(place=axis.place(one), text=_power(one)) for one in axis.ticks()],
        zero=None,
        strips=[_strip(one, axis, Unit.NATS) for one in found],
    )


def _power(value: float) -> str:
    return f"{value:g}".replace("e-0", "e-")


def _divergences(record: ExamplesRecord | None) -> list[float]:
    """Return the divergence of every token; of every document, if tokens are not kept."""
    if record is None:
        return []
    tokens = record.rows_of("p99_kl")
    if tokens is not None and tokens.observations is not None:
        return [value for one in tokens.observations for value in one]
    rows = record.rows_of("mean_kl")
    if rows is None or rows.weights is None:
        return []
    return [value / weight for value, weight in zip(rows.values, rows.weights, strict=True)]


def _of_perplexity(
    first: MeasurementRecord,
    records: Mapping[str, ExamplesRecord],
    examples: Mapping[str, ExamplesRecord],
) -> Spread | None:
    found = []
    for label, record in records.items():
        values = _changes(record, examples.get(record.reference or ""))
        if values:
            mean = sum(values) / len(values)
            found.append(_Values(variant=label, values=values, marks={"mean": mean}))
    numbers = [*_finite(value for one in found for value in one.values)]
    if not numbers:
        return None
    low, high = padded([*numbers, 0.0], least=1e-6, share=0.04)
    axis = Axis(low=low, high=high, start=START, end=END)
    return Spread(
        title=f"{shown(first.workload)}: loss, variant minus reference",
        caption="nats per token, each document",
        ticks=[Tick(place=axis.place(one), text=f"{one:g}") for one in axis.ticks()],
        zero=axis.place(0.0),
        strips=[_strip(one, axis, Unit.NATS) for one in found],
    )


def _changes(record: ExamplesRecord, reference: ExamplesRecord | None) -> list[float]:
    after = record.rows_of("perplexity")
    before = reference.rows_of("perplexity") if reference else None
    if after is None or before is None or after.ids != before.ids:
        return []
    return [
        (late - early) / weight
        for late, early, weight in zip(
            after.values, before.values, after.weights or (), strict=True
        )
    ]


def _finite(values: Iterable[float]) -> Iterable[float]:
    return (value for value in values if math.isfinite(value))


def _strip(one: _Values, axis: Axis, unit: Unit) -> Strip:
    values = [*_finite(one.values)]
    words = ", ".join(f"{name} {format_quantity(at, unit)}" for name, at in one.marks.items())
    return Strip(
        variant=shown(one.variant),
        area=_area(values, axis),
        marks=[Tick(place=axis.place(at), text=name) for name, at in one.marks.items()],
        text=f"{words}" + (f", {format_count(len(values))} values" if values else ""),
    )


def _area(values: Sequence[float], axis: Axis) -> str:
    """Return the outline of a histogram in equal steps of the axis."""
    if not values:
        return ""
    counts = [0] * _N_BINS
    step = (axis.end - axis.start) / _N_BINS
    for value in values:
        if value > 0 or not axis.is_log:
            counts[min(int((axis.place(value) - axis.start) / step), _N_BINS - 1)] += 1
    # Square roots: a few large values among thousands stay visible.
    tallest = math.sqrt(max(counts)) or 1.0
    parts = [f"M{axis.start},{_BASE}"]
    for place, count in enumerate(counts):
        height = round(_BASE - _TALL * math.sqrt(count) / tallest, 1)
        parts.append(f"V{height}H{round(axis.start + (place + 1) * step, 1)}")
    return "".join(parts) + f"V{_BASE}Z"


def worst_tokens(run: RunRecord) -> list[ShownToken]:
    """Return the tokens of largest divergence, largest first."""
    found = [
        (token, one)
        for one in run.measurements
        if one.divergence is not None
        for token in one.divergence.worst
        if token.text != REDACTED
    ]
    found.sort(key=lambda pair: -pair[0].kl)
    return [_token(token, one) for token, one in found]


def _token(token: TokenRecord, one: MeasurementRecord) -> ShownToken:
    return ShownToken(
        workload=shown(one.workload),
        variant=shown(one.variant_label),
        place=shown(f"{token.example}, token {format_count(token.position + 1)}"),
        context=shown(" ".join(token.context.split())[-_CONTEXT:]),
        text=capped(token.text, _CONTEXT),
        kl=format_quantity(token.kl, Unit.NATS),
        delta_p=format_quantity(token.delta_p, Unit.POINTS),
        reference=_top(token.reference_top, token.reference_p),
        after=_top(token.variant_top, token.variant_p),
    )


def _top(text: str, p: float) -> str:
    return f"{capped(text, _CONTEXT)!r} {format_quantity(p, Unit.FRACTION)}"

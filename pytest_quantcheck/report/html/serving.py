"""Times, throughput and memory of variants that were timed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantcheck.core.quantity import (
    Unit,
    format_bytes,
    format_cost,
    format_count,
    format_interval,
    format_quantity,
)
from pytest_quantcheck.report.html.texts import NONE, shown
from pytest_quantcheck.report.serving import (
    by_shape,
    described,
    is_host_bound,
    longest_of,
    reference_notes,
    shape_of,
    where,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_quantcheck.core.serving import (
        LatencyRecord,
        RatioRecord,
        ServingRecord,
        TimeRecord,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingRow:
    """One model at one batch size."""

    place: str
    variant: str
    is_reference: bool
    ttft: str
    tpot: str
    e2e: str
    throughput: str
    ratio: str
    """Throughput, variant over reference."""
    peak: str
    cost: str


def serving_rows(latencies: Sequence[LatencyRecord]) -> list[ServingRow]:
    """Return a row for each model and batch size, the reference before its variants."""
    rows: list[ServingRow] = []
    for shape, found in by_shape(latencies).items():
        rows.append(_row(shape.name, longest_of(found).reference, None))
        rows += [_row(shape.name, one.variant, one.throughput_ratio) for one in found]
    return rows


def serving_legend(latencies: Sequence[LatencyRecord]) -> list[str]:
    """Return how and where each row was timed, and which of the reference's timings is shown."""
    how = (f"{shape_of(one).name}: {'; '.join(_how(one))}" for one in latencies)
    return [shown(text) for text in dict.fromkeys((*how, *reference_notes(latencies)))]


def _row(place: str, side: ServingRecord, ratio: RatioRecord | None) -> ServingRow:
    peak, cost = side.memory.peak_bytes, side.cost_per_million_tokens
    return ServingRow(
        place=shown(place),
        variant=shown(side.variant_label),
        is_reference=ratio is None,
        ttft=_time(side.ttft),
        tpot=_time(side.tpot),
        e2e=_time(side.e2e),
        throughput=format_quantity(side.tokens_per_second, Unit.TOKENS_PER_SECOND),
        ratio=_ratio(ratio),
        peak=NONE if peak is None else format_bytes(peak),
        cost=NONE if cost is None else format_cost(cost),
    )


def _time(time: TimeRecord | None) -> str:
    return NONE if time is None else format_quantity(time.median_ms, Unit.MILLISECONDS)


def _ratio(ratio: RatioRecord | None) -> str:
    if ratio is None:
        return "1"
    value = format_quantity(ratio.value, Unit.RATIO)
    if ratio.low is None or ratio.high is None:
        return value
    return f"{value} {format_interval(ratio.low, ratio.high, Unit.RATIO)}"


def _how(record: LatencyRecord) -> Iterator[str]:
    yield where(record)
    yield described(record)
    unit = "pairs" if record.schedule == "pairs" else "blocks of loads"
    yield f"{format_count(record.n)} {unit}"
    for side in (record.reference, record.variant):
        if is_host_bound(side):
            yield f"{side.variant_label} is host-bound: the host sets the pace"
        if side.fallback:
            yield f"{side.variant_label} ran {side.mode}: {side.fallback}"

"""What requests took: cells and notes for tables, from records of latency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantcheck.core.quantity import (
    Unit,
    format_bare,
    format_bytes,
    format_cost,
    format_count,
    format_quantity,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_quantcheck.core.record import RunRecord
    from pytest_quantcheck.core.serving import LatencyRecord, ServingRecord, TimeRecord

SERVING_COLUMNS = ("TTFT", "TPOT", "tokens/s", "tokens/s ratio", "peak memory", "cost/M tokens")
"""As they stand from left to right; the last two only where they are known."""
_MOSTLY = 0.5
"""Share of the runs from which on the host is said to set the pace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedShape:
    """One kind of request batch that variants of one model were timed at."""

    model: str
    workload: str
    slice: str | None
    fingerprint: str

    @property
    def name(self) -> str:
        """The workload, with the batch size where it has several."""
        return f"{self.workload}[{self.slice}]" if self.slice else self.workload


def shape_of(one: LatencyRecord) -> ServedShape:
    """Return what variants have to have in common to be compared."""
    return ServedShape(
        model=one.model, workload=one.workload, slice=one.slice, fingerprint=one.fingerprint
    )


def by_shape(latencies: Iterable[LatencyRecord]) -> dict[ServedShape, list[LatencyRecord]]:
    """Return the timings of each shape, in the order of the tests."""
    found: dict[ServedShape, list[LatencyRecord]] = {}
    for one in latencies:
        found.setdefault(shape_of(one), []).append(one)
    return found


def longest_of(timings: Iterable[LatencyRecord]) -> LatencyRecord:
    """Return the timing of one shape whose reference is shown: that with the most pairs."""
    return max(timings, key=lambda one: one.n)


def reference_notes(latencies: Iterable[LatencyRecord]) -> list[str]:
    """Return beside which variant the reference shown was timed, where it was beside several."""
    notes = []
    for shape, found in by_shape(latencies).items():
        if len(found) > 1:
            longest = longest_of(found)
            notes.append(
                f"{shape.name}: {longest.reference.variant_label} was timed beside each variant; "
                f"its row is of the runs beside {longest.variant.variant_label}, and each "
                "variant's ratio of its own"
            )
    return notes


def serving_cells(found: Sequence[LatencyRecord]) -> dict[str, dict[str, str]]:
    """Return what serving one shape took, by the variant's label and by column.

    The reference was timed beside each variant, and is shown as in one of these timings. A ratio
    is of the runs beside that variant, so it need not be that of the figures shown.
    """
    reference = longest_of(found).reference
    rows = {reference.variant_label: _cells(reference, 1.0)}
    rows |= {
        one.variant.variant_label: _cells(one.variant, one.throughput_ratio.value) for one in found
    }
    known = [column for column in SERVING_COLUMNS if any(row[column] for row in rows.values())]
    return {label: {column: row[column] or "-" for column in known} for label, row in rows.items()}


def serving_notes(run: RunRecord) -> list[str]:
    """Return how, where and with which requests times were taken, and what to know of them."""
    notes = (text for one in run.latencies for text in _notes(one))
    return list(dict.fromkeys([*notes, *reference_notes(run.latencies)]))


def described(one: LatencyRecord) -> str:
    """Return the requests in words: `512 prompt tokens, 64 new tokens, batch 8`."""
    return (
        f"{format_count(one.prompt_tokens)} prompt tokens, {format_count(one.new_tokens)} new, "
        f"batch {one.batch_size}"
    )


def where(one: LatencyRecord) -> str:
    """Return what served on which device, which is never the user's own server."""
    reference, variant = one.reference, one.variant
    runtime = one.runtime
    if reference.mode != variant.mode:
        modes = (
            f"{reference.variant_label} {reference.mode}, {variant.variant_label} {variant.mode}"
        )
        runtime = runtime.replace(f" {variant.mode}", f" ({modes})", 1)
    device = f"{one.device_name} (CPU)" if one.device == "cpu" else one.device_name
    return f"{runtime}, on {device}"


def is_host_bound(served: ServingRecord) -> bool:
    """Whether the host set the pace in most runs, so that faster kernels would change nothing."""
    return served.host_bound_share is not None and served.host_bound_share >= _MOSTLY


def _notes(one: LatencyRecord) -> list[str]:
    name = shape_of(one).name
    price = "" if one.gpu_hour_cost is None else f"; {format_cost(one.gpu_hour_cost)} an hour"
    bound = [
        f"{name}: {served.variant_label} is host-bound: the host sets the pace"
        for served in (one.reference, one.variant)
        if is_host_bound(served)
    ]
    return [f"{name}: {where(one)}; {described(one)}; medians{price}", *bound]


def _cells(served: ServingRecord, ratio: float) -> dict[str, str]:
    """Return the figures of one variant by column; empty where they are not known."""
    peak, cost = served.memory.peak_bytes, served.cost_per_million_tokens
    cells = (
        _median(served.ttft),
        _median(served.tpot),
        format_bare(served.tokens_per_second, Unit.TOKENS_PER_SECOND),
        f"{ratio:.2f}",
        "" if peak is None else format_bytes(peak),
        "" if cost is None else format_cost(cost),
    )
    return dict(zip(SERVING_COLUMNS, cells, strict=True))


def _median(time: TimeRecord | None) -> str:
    return "" if time is None else format_quantity(time.median_ms, Unit.MILLISECONDS)

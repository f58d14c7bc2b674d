"""What requests took: cells and notes for tables, from records of latency."""

from __future__ import annotations

import textwrap
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
from pytest_quantcheck.report.screen import ascii_safe

if TYPE_CHECKING:
    from pytest_quantcheck.core.record import RunRecord
    from pytest_quantcheck.core.serving import LatencyRecord, ServingRecord, TimeRecord

_PEAK, _COST = "peak memory", "cost/M tokens"
SERVING_COLUMNS = ("TTFT", "TPOT", "tokens/s", _PEAK, _COST)
"""As they stand from left to right; the last two only where they are known."""
_MOSTLY = 0.5
"""Share of the runs from which on the host is said to set the pace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedShape:
    """One kind of request batch that variants were timed at."""

    workload: str
    slice: str | None
    fingerprint: str

    @property
    def name(self) -> str:
        """The workload, with the batch size where it has several."""
        return f"{self.workload}[{self.slice}]" if self.slice else self.workload


def shape_of(one: LatencyRecord) -> ServedShape:
    """Return what variants have to have in common to be compared."""
    return ServedShape(workload=one.workload, slice=one.slice, fingerprint=one.fingerprint)


def shapes_of(run: RunRecord) -> list[ServedShape]:
    """Return the shapes timed, in the order of the tests."""
    return list(dict.fromkeys(map(shape_of, run.latencies)))


def serving_cells(run: RunRecord, shape: ServedShape) -> dict[str, dict[str, str]]:
    """Return what serving one shape took, by the variant's label and by column.

    The reference was timed against each variant; the one of most pairs is shown.
    """
    found = [one for one in run.latencies if shape_of(one) == shape]
    longest = max(found, key=lambda one: one.n)
    served = [longest.reference, *(one.variant for one in found)]
    columns = [column for column in SERVING_COLUMNS if any(_cell(one, column) for one in served)]
    return {
        one.variant_label: {column: _cell(one, column) or "-" for column in columns}
        for one in served
    }


def serving_notes(run: RunRecord, *, width: int) -> list[str]:
    """Return how, where and with which requests times were taken, and what to know of them."""
    notes = dict.fromkeys(text for one in run.latencies for text in _notes(one))
    return [
        line
        for note in notes
        for line in textwrap.wrap(
            ascii_safe(note), max(width - 1, 20), subsequent_indent="  ", break_on_hyphens=False
        )
    ]


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


def _cell(served: ServingRecord, column: str) -> str:
    """Return one figure; empty where it is not known."""
    match column:
        case "TTFT":
            return _median(served.ttft)
        case "TPOT":
            return _median(served.tpot)
        case "tokens/s":
            return format_bare(served.tokens_per_second, Unit.TOKENS_PER_SECOND)
        case "peak memory":
            peak = served.memory.peak_bytes
            return "" if peak is None else format_bytes(peak)
        case _:
            cost = served.cost_per_million_tokens
            return "" if cost is None else format_cost(cost)


def _median(time: TimeRecord | None) -> str:
    return "" if time is None else format_quantity(time.median_ms, Unit.MILLISECONDS)

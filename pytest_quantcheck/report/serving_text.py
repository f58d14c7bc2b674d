"""What the text of a failed budget on times, throughput or memory says besides its verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantcheck.core.quantity import (
    Unit,
    format_bare,
    format_bytes,
    format_count,
    format_quantity,
)
from pytest_quantcheck.report import wording
from pytest_quantcheck.report.serving import described, is_host_bound, where

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_quantcheck.core.memory import MemoryUse
    from pytest_quantcheck.core.record import CheckRecord
    from pytest_quantcheck.core.serving import LatencyRecord, TimeRecord


def find_timing(check: CheckRecord, timings: Iterable[LatencyRecord]) -> LatencyRecord | None:
    """Return the timing that a budget was decided on."""
    if not wording.is_of_serving(check):
        return None
    about = (check.variant_label, check.workload, check.slice, check.fingerprint)
    for one in timings:
        if about == (one.variant.variant_label, one.workload, one.slice, one.fingerprint):
            return one
    return None


def describe_timing(check: CheckRecord, one: LatencyRecord) -> list[str]:
    """Return what was served where, what it took, and under which conditions it was timed."""
    facts = [f"{where(one)}: {described(one)}"]
    if wording.is_of_memory(check):
        return [*facts, *_memory(one)]
    return [*facts, _times(one), *_modes(one), *_conditions(one)]


def settling(check: CheckRecord, one: LatencyRecord) -> list[str]:
    """Return what to change so that more runs decide the budget."""
    if wording.is_of_memory(check) or check.outcome != "inconclusive":
        return []
    if one.stopped == "seconds":
        return ["the time limit ended the timing: allow more seconds="]
    if check.needed_n is not None and one.n_planned < check.needed_n:
        return [f"as many take repeats={wording.rounded_up(check.needed_n)} or more"]
    return []


def _times(one: LatencyRecord) -> str:
    kinds = (
        ("TTFT", one.reference.ttft, one.variant.ttft),
        ("TPOT", one.reference.tpot, one.variant.tpot),
        ("whole request", one.reference.e2e, one.variant.e2e),
    )
    shown = [
        f"{name} {_milliseconds(before)} -> {_milliseconds(after)} ms"
        for name, before, after in kinds
        if before is not None and after is not None
    ]
    rates = (one.reference.tokens_per_second, one.variant.tokens_per_second)
    before, after = (format_bare(rate, Unit.TOKENS_PER_SECOND) for rate in rates)
    return f"medians: {', '.join(shown)}, {before} -> {after} tokens/s"


def _milliseconds(time: TimeRecord) -> str:
    return format_bare(time.median_ms, Unit.MILLISECONDS)


def _modes(one: LatencyRecord) -> list[str]:
    facts = [
        f"{served.variant_label} ran {served.mode}, not {one.mode_asked}: {served.fallback}"
        for served in (one.reference, one.variant)
        if served.fallback
    ]
    bound = [served for served in (one.reference, one.variant) if is_host_bound(served)]
    if bound:
        shares = " and ".join(
            f"{format_quantity(served.host_bound_share or 0, Unit.FRACTION)} of the runs of "
            f"{served.variant_label}"
            for served in bound
        )
        advice = (
            "" if one.mode_asked == "compiled" else '; mode="compiled" takes most of the host out'
        )
        facts.append(f"host-bound: in {shares} the host sets the pace, not the device{advice}")
    return facts


def _conditions(one: LatencyRecord) -> list[str]:
    is_paired = one.schedule == "pairs"
    parts = [
        "timed in turn, each pair in random order"
        if is_paired
        else "loaded in turn, in random order: they do not fit into memory together"
    ]
    why = f" ({', '.join(one.throttling)})" if one.throttling else ""
    if one.n_discarded:
        again = "pair" if is_paired else "block"
        parts.append(
            f"{format_count(one.n_discarded, again)} timed "
            f"again because the device was throttled{why}"
        )
    if one.n_throttled:
        parts.append(f"{format_count(one.n_throttled)} of those that count throttled all the same")
    if one.sm_clock_mhz is not None:
        parts.append(f"SM clock {_span(one.sm_clock_mhz)} MHz")
    if one.temperature_celsius is not None:
        parts.append(f"{_span(one.temperature_celsius)} °C")
    others = {
        "none": "nobody else used the device",
        "unknown": "contention: unknown",
    }
    parts.append(others.get(one.contention, f"somebody else used the device: {one.contention}"))
    return ["; ".join(parts)]


def _span(ends: list[int]) -> str:
    """Return both ends, or one where they are the same."""
    return " to ".join(format_count(end) for end in dict.fromkeys(ends))


def _memory(one: LatencyRecord) -> list[str]:
    return [
        f"{served.variant_label}: {'; '.join(_parts(served.memory))}"
        for served in (one.reference, one.variant)
    ]


def _parts(memory: MemoryUse) -> Sequence[str]:
    """Return what the memory is made of; largest in prefill or while tokens are generated."""
    figures = (
        ("weights", memory.weight_bytes),
        ("peak in prefill", memory.peak_prefill_bytes),
        ("peak while generating", memory.peak_decode_bytes),
        ("KV cache", memory.kv_cache_bytes),
    )
    return [f"{name} {format_bytes(size)}" for name, size in figures if size is not None]

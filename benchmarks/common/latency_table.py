"""Rows of a latency benchmark as a Markdown table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_COLUMNS = (
    "variant",
    "batch",
    "mode",
    "TTFT, ms",
    "limit",
    "TPOT, ms",
    "limit",
    "tokens/s",
    "wall clock / device",
    "peak, GiB",
    "torch's count",
    "driver",
    "KV cache",
    "runs",
)
_GIB = 2**30


def table(rows: Iterable[dict[str, Any]]) -> str:
    """Return a Markdown table."""
    lines = [_line(_COLUMNS), _line("---" for _ in _COLUMNS)]
    return "\n".join([*lines, *(_line(_cells(row)) for row in rows)])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(row: dict[str, Any]) -> list[str]:
    head = [row["variant"], str(row["batch"]), row["mode"]]
    if "ttft_seconds" not in row:
        return [*head, row.get("fallback") or row["error"], *[""] * (len(_COLUMNS) - 4)]
    limits, memory, device = row["limits"] or {}, row["memory"], row["device_seconds"]
    tpot = row["tpot_seconds"]
    used = row.get("nvml_used") or row.get("driver_used")
    peaks = [memory["peak_prefill_bytes"], memory["peak_decode_bytes"]]
    return [
        *head,
        _milliseconds(row["ttft_seconds"]),
        _limit(limits.get("ttft_seconds")),
        _milliseconds(tpot) if tpot else "",
        _limit(limits.get("tpot_seconds")),
        "{value:.4g} [{low:.4g}, {high:.4g}]".format(**row["tokens_per_second"]),
        f"{row['e2e_seconds']['value'] / device:.2f}" if device else "",
        _gib(max(peaks) if None not in peaks else None),
        _gib(row.get("max_memory_allocated")),
        _gib(used),
        _gib(memory["kv_cache_bytes"]),
        str(row["ttft_seconds"]["n"]),
    ]


def _milliseconds(found: dict[str, float]) -> str:
    value, low, high = (1e3 * found[name] for name in ("value", "low", "high"))
    return f"{value:.4g} [{low:.4g}, {high:.4g}]"


def _limit(seconds: float | None) -> str:
    return "" if seconds is None else f"{1e3 * seconds:.3g}"


def _gib(size_bytes: int | None) -> str:
    return "" if size_bytes is None else f"{size_bytes / _GIB:.2f}"

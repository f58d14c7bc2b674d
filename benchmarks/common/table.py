"""Rows of a scoring benchmark as a Markdown table."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_NONE = ""
_COLUMNS = (
    "workload",
    "variant",
    "lm-eval, requests/s (batch)",
    "quantcheck",
    "ratio",
    "float32 softmax",
    "`auto`",
    "batch 1",
    "memory, GiB",
    "share",
    "tokens forwarded / asked",
    "of matmul peak",
    "of limit",
    "GPU busy",
    "products, attention, rest",
)


def table(rows: Iterable[dict[str, Any]]) -> str:
    """Return a Markdown table."""
    lines = [_line(_COLUMNS), _line("---" for _ in _COLUMNS)]
    return "\n".join([*lines, *(_line(_cells(row)) for row in rows)])


def geometric_mean(rows: Iterable[dict[str, Any]]) -> float | None:
    """Return the mean ratio against lm-evaluation-harness at its largest batch."""
    ratios = [row["harness"]["ratio"] for row in rows if "harness" in row]
    return statistics.geometric_mean(ratios) if ratios else None


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(row: dict[str, Any]) -> list[str]:
    ours, harness = row["ours"], row.get("harness")
    kernels = row.get("profile", {})
    shares = kernels.get("shares", {})
    return [
        row["workload"],
        row["variant"],
        _harness_rate(row, harness),
        f"{row['requests'] / ours['seconds']:.4g}",
        _ratio(harness),
        _ratio(row.get("float32")),
        _auto(row.get("auto")),
        _ratio(row.get("batch_1")),
        _memory(ours, harness),
        f"{harness['memory_ratio']:.3f}" if harness and "memory_ratio" in harness else _NONE,
        _tokens(row, harness),
        _percent(row.get("utilization")),
        _percent(row.get("limit_share")),
        _percent(kernels.get("busy")),
        ", ".join(_percent(shares.get(kind, 0.0)) for kind in ("matmul", "attention", "other"))
        if shares
        else _NONE,
    ]


def _harness_rate(row: dict[str, Any], harness: dict[str, Any] | None) -> str:
    if harness is None:
        return "absent"
    return f"{row['requests'] / harness['seconds']:.4g} ({harness['batch_size']})"


def _ratio(found: dict[str, Any] | None) -> str:
    if found is None:
        return _NONE
    if "out_of_memory_at" in found:
        return f"out of memory at {found['out_of_memory_at']}"
    return f"{found['ratio']:.1f}"


def _auto(found: dict[str, Any] | None) -> str:
    if found is None:
        return _NONE
    searched = f"batch {found['batch_size']} after {found['search_seconds']:.1f} s"
    return f"{found['ratio']:.1f} ({searched})"


def _memory(ours: dict[str, Any], harness: dict[str, Any] | None) -> str:
    if ours["peak_gib"] is None:
        return _NONE
    before = f"{harness['peak_gib']:.1f} → " if harness else ""
    return f"{before}{ours['peak_gib']:.2f}"


def _tokens(row: dict[str, Any], harness: dict[str, Any] | None) -> str:
    asked = row["tokens_asked"]
    parts = [row["ours"]["forwarded"] / asked, row["tokens_distinct"] / asked]
    before = f"{harness['forwarded'] / asked:.2f} → " if harness else ""
    return f"{before}{parts[0]:.2f} (least {parts[1]:.2f})"


def _percent(value: float | None) -> str:
    return _NONE if value is None else f"{value:.0%}"

"""The two tables of the summary: checks, and variants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabulate import tabulate

from pytest_quantcheck.core.quantity import Unit, format_bytes, format_count, format_quantity
from pytest_quantcheck.report import wording

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantcheck.core.record import CheckRecord, MeasurementRecord, RunRecord

_EXPENDABLE = ("variant ", "reference", "n", "")
"""Columns given up, in this order, where the terminal is too narrow."""
_PARTIAL = "*"
"""Stands behind a level on a part of the examples where there is no room for their number."""
_LEVELS = {"variant_level", "reference_level", "recovery"}
"""Statistics that are no degradation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of output, and the outcome that colours it."""

    text: str
    outcome: str | None = None


def check_table(checks: Sequence[CheckRecord], *, width: int) -> list[Line]:
    """Return the table of checks, at most `width` wide where columns can be given up."""
    if not checks:
        return []
    is_level = any(check.statistic in _LEVELS for check in checks)
    measured = f"{'estimate' if is_level else 'degradation'} [{_percent(checks[0])} % CI]"
    rows = [_check_row(check, measured) for check in checks]
    columns = list(rows[0])
    if all(check.noise_floor is None for check in checks):
        columns.remove("noise")
    lines = _table(rows, columns)
    for column in _EXPENDABLE:
        if max(len(line) for line in lines) <= width:
            break
        columns.remove(column)
        lines = _table(rows, columns)
    outcomes: list[str | None] = [None, *(check.outcome for check in checks)]
    table = [Line(text=text, outcome=one) for text, one in zip(lines, outcomes, strict=True)]
    return table if "" in columns else [*table, *_left_out(checks)]


def _left_out(checks: Sequence[CheckRecord]) -> list[Line]:
    """Return what must be said though the terminal is too narrow for remarks."""
    parts = [c.n / c.n_planned for c in checks if c.stopped_early and c.n_planned is not None]
    if not parts:
        return []
    few, most = (format_quantity(part, Unit.FRACTION) for part in (min(parts), max(parts)))
    budgets = wording.budgets_in_words(len(parts))
    return [Line(text=f" stopped early: {budgets}, after {few} to {most} of the examples")]


def variant_table(run: RunRecord, *, width: int) -> list[Line]:
    """Return the table of variants: weights, and the level on each workload."""
    lines = _variant_rows(run, is_short=False)
    if max(map(len, lines), default=0) > width and _is_partial(run):
        lines = [*_variant_rows(run, is_short=True), f" {_PARTIAL} on a part of the examples"]
    return [Line(text=text) for text in lines]


def _is_partial(run: RunRecord) -> bool:
    return any(measured.n != measured.n_planned for measured in run.measurements)


def _variant_rows(run: RunRecord, *, is_short: bool) -> list[str]:
    reference_bytes = next((m.weight_bytes for m in run.measurements if m.is_reference), None)
    columns = _columns(run.measurements)
    rows: dict[str, dict[str, str]] = {}
    ordered = sorted(run.measurements, key=lambda m: (not m.is_reference, -m.weight_bytes))
    for measured in ordered:
        row = rows.setdefault(
            measured.variant_label,
            {
                "variant": measured.variant_label,
                "weights": format_bytes(measured.weight_bytes),
                "ratio": _ratio(measured.weight_bytes, reference_bytes),
                **dict.fromkeys(columns.values(), "-"),
            },
        )
        row[columns[_key(measured)]] = _level(measured, is_short=is_short)
    if not rows:
        return []
    headers = ["variant", "weights", "ratio", *columns.values()]
    return _table(list(rows.values()), headers)


def _level(measured: MeasurementRecord, *, is_short: bool) -> str:
    """Return a level; where it is not that of all examples, with their number or a mark."""
    level = format_quantity(measured.level, Unit(measured.level_unit))
    if measured.n == measured.n_planned:
        return level
    if is_short:
        return f"{level} {_PARTIAL}"
    return f"{level} (on {format_count(measured.n)} of {format_count(measured.n_planned)})"


def _percent(check: CheckRecord) -> str:
    return f"{100 * check.confidence_level:.10g}"


def _check_row(check: CheckRecord, measured: str) -> dict[str, str]:
    return {
        "workload": wording.place(check) or "(weights)",
        "variant": check.variant_label,
        "metric": _metric(check),
        "reference": wording.level(check, check.reference_level),
        "variant ": wording.level(check, check.variant_level),
        measured: wording.value_with_interval(check),
        "budget": wording.limit_with_side(check),
        "noise": wording.noise_floor(check),
        "n": format_count(check.n) if check.n else "-",
        "verdict": check.outcome.upper(),
        "": wording.remark(check),
    }


def _metric(check: CheckRecord) -> str:
    name = check.metric
    return {
        "flips": f"{name} flips",
        "harmful_flips": f"{name} harmful flips",
        "recovery": f"{name} recovery",
        "reference_level": f"reference {name}",
    }.get(check.statistic, name)


def _columns(measurements: Sequence[MeasurementRecord]) -> dict[tuple[str, str], str]:
    """Return a header for each workload; those of one name are numbered."""
    headers: dict[tuple[str, str], str] = {}
    for measured in measurements:
        if (key := _key(measured)) not in headers:
            namesakes = sum(name == measured.workload for name, _ in headers)
            name = measured.workload + (f" ({namesakes + 1})" if namesakes else "")
            headers[key] = name + (" PPL" if measured.metric == "perplexity" else "")
    return headers


def _key(measured: MeasurementRecord) -> tuple[str, str]:
    return measured.workload, measured.fingerprint


def _ratio(size_bytes: int, reference_bytes: int | None) -> str:
    return f"{size_bytes / reference_bytes:.2f}" if reference_bytes else "-"


def _table(rows: Sequence[dict[str, str]], columns: Sequence[str]) -> list[str]:
    body = [[row[column] for column in columns] for row in rows]
    headers = [column.strip() for column in columns]
    right = {"weights", "ratio", "reference", "n"}
    align = ["right" if column.strip() in right else "left" for column in columns]
    text = tabulate(body, headers, tablefmt="plain", colalign=align, disable_numparse=True)
    return [" " + line.rstrip() for line in text.splitlines()]

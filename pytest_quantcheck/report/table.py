"""The table of checks, and what all tables are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabulate import tabulate

from pytest_quantcheck.core.quantity import Unit, format_count, format_quantity
from pytest_quantcheck.report import wording
from pytest_quantcheck.report.screen import ascii_safe, folded, inert

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from pytest_quantcheck.core.record import CheckRecord

_EXPENDABLE = ("variant ", "reference", "n", "")
"""Columns given up, in this order, where the terminal is too narrow."""
_MOST_NAMED = 3
"""Tests whose names a row has room for."""
RIGHT = {"reference", "n"}
"""Columns that stand flush right."""
_LEVELS = {
    "variant_level",
    "reference_level",
    "recovery",
    "latency_quantile",
    "throughput_ratio",
    "peak_memory",
}
"""Statistics that are no degradation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of output, and the outcome that colours it."""

    text: str
    outcome: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRow:
    """One row of the table of checks."""

    check: CheckRecord
    """The first of those that the row stands for."""
    cells: dict[str, str]
    """By header; what the variant reaches is under `variant `."""


def check_table(checks: Sequence[CheckRecord], *, width: int) -> list[Line]:
    """Return the table of checks, at most `width` wide.

    Columns are given up for it. After the last such one the table has variants by name, what they
    really are stands below; then columns move together, and at last each check is a sentence.
    """
    if not checks:
        return []
    rows = check_rows(checks)
    shown = [row.check for row in rows]
    for columns, lines in _tables(rows):
        if max(map(len, lines)) <= width:
            outcomes: list[str | None] = [None, *(check.outcome for check in shown)]
            table = [Line(text=text, outcome=x) for text, x in zip(lines, outcomes, strict=True)]
            more = [] if "" in columns else [*_remarks(shown, width), *_left_out(checks)]
            return table + more
    return [*_sentences(rows, width), *_left_out(checks)]


def _tables(rows: Sequence[CheckRow]) -> Iterator[tuple[list[str], list[str]]]:
    """Yield columns and lines of the table, from its widest form to its narrowest."""
    cells = [row.cells for row in rows]
    columns = list(cells[0])
    yield columns, table_lines(cells, columns, right=RIGHT)
    for column in _EXPENDABLE:
        columns = [name for name in columns if name != column]
        yield columns, table_lines(cells, columns, right=RIGHT)
    measured = _measured([row.check for row in rows])
    estimate = f"estimate {measured.partition(' ')[2]}"
    named = [
        {**row.cells, "variant": row.check.variant, estimate: row.cells[measured]} for row in rows
    ]
    columns = [estimate if name == measured else name for name in columns]
    for is_tight in (False, True):
        yield columns, table_lines(named, columns, right=RIGHT, is_tight=is_tight)


def _sentences(rows: Sequence[CheckRow], width: int) -> list[Line]:
    """Return each row in lines of at most `width` columns, where words are no longer."""
    found: list[Line] = []
    measured = _measured([row.check for row in rows])
    for row in rows:
        cells, check = row.cells, row.check
        text = (
            f"{cells['verdict']} {cells['workload']} {check.variant} {cells['metric']}: "
            f"{cells[measured]}, budget {cells['budget']}"
        )
        text = "; ".join(filter(None, (text, wording.settling(check))))
        found += _wrapped(text, check.outcome, width)
    return found


def _remarks(checks: Sequence[CheckRecord], width: int) -> list[Line]:
    """Return what would settle each check, where a table has no column for it."""
    found: list[Line] = []
    for check in checks:
        if text := wording.settling(check):
            where = wording.place(check) or "(weights)"
            what = f"{check.outcome.upper()} {where} {check.variant} {_metric(check)}"
            found += _wrapped(f"{what}: {text}", check.outcome, width)
    return found


def _wrapped(text: str, outcome: str, width: int) -> list[Line]:
    return [Line(text=line, outcome=outcome) for line in folded(text, width)]


def check_rows(checks: Sequence[CheckRecord]) -> list[CheckRow]:
    """Return a row for each check; those of several tests that say the same share one."""
    measured = _measured(checks)
    left_out = {"noise"} if all(check.noise_floor is None for check in checks) else set()
    alike: dict[tuple[str, ...], list[CheckRecord]] = {}
    for check in checks:
        alike.setdefault(tuple(_cells(check, measured).values()), []).append(check)
    rows = []
    for same in alike.values():
        cells = _cells(same[0], measured)
        cells[""] = "; ".join(filter(None, (cells[""], _stated(same))))
        kept = {name: text for name, text in cells.items() if name not in left_out}
        rows.append(CheckRow(check=same[0], cells=kept))
    return rows


def _stated(same: Sequence[CheckRecord]) -> str:
    """Return which tests state a budget; nothing where it is stated once."""
    tests = dict.fromkeys(check.nodeid.partition("[")[0].rpartition("::")[2] for check in same)
    if len(same) == 1:
        return ""
    if len(tests) == 1:
        return format_count(len(same), "budget")
    return "in " + (", ".join(tests) if len(tests) <= _MOST_NAMED else f"{len(tests)} tests")


def _measured(checks: Sequence[CheckRecord]) -> str:
    is_level = any(check.statistic in _LEVELS for check in checks)
    percent = wording.confidence_percent(checks[0])
    return f"{'estimate' if is_level else 'degradation'} [{percent} % CI]"


def _left_out(checks: Sequence[CheckRecord]) -> list[Line]:
    """Return what must be said though the terminal is too narrow for remarks."""
    parts = [
        check.n / check.n_planned
        for check in checks
        if check.stopped_early and check.n_planned and not wording.is_of_serving(check)
    ]
    if not parts:
        return []
    few, most = (format_quantity(part, Unit.FRACTION) for part in (min(parts), max(parts)))
    budgets = format_count(len(parts), "budget")
    return [Line(text=f" stopped early: {budgets}, after {few} to {most} of the examples")]


def _cells(check: CheckRecord, measured: str) -> dict[str, str]:
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
    name = wording.metric_name(check)
    return {
        "flips": f"{name} flips",
        "harmful_flips": f"{name} harmful flips",
        "recovery": f"{name} recovery",
        "reference_level": f"reference {name}",
    }.get(check.statistic, name)


def table_lines(
    rows: Sequence[dict[str, str]],
    columns: Sequence[str],
    *,
    right: Collection[str],
    is_tight: bool = False,
) -> list[str]:
    """Return a table of some columns, those in `right` flush right; no line ends in spaces.

    A tight one does not make columns wider than their headers.
    """
    body = [[ascii_safe(row[column]) for column in columns] for row in rows]
    headers = [ascii_safe(column.strip()) for column in columns]
    align = ["right" if column.strip() in right else "left" for column in columns]
    if is_tight:  # tabulate gives room to headers, and none to a row
        body, headers = [headers, *body], []
    text = tabulate(body, headers, tablefmt="plain", colalign=align, disable_numparse=True)
    return [inert(f" {line.rstrip()}") for line in text.splitlines()]

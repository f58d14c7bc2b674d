"""The table of variants: size, quality on each workload, and what serving takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantcheck.core.quantity import Unit, format_bytes, format_count, format_quantity
from pytest_quantcheck.report.screen import folded
from pytest_quantcheck.report.serving import (
    SERVING_COLUMNS,
    by_shape,
    serving_cells,
    serving_notes,
)
from pytest_quantcheck.report.sizes import measurement_key, weights_of, workload_names
from pytest_quantcheck.report.table import Line, table_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantcheck.core.record import MeasurementRecord, RunRecord

_PARTIAL = "*"
"""Stands behind a level on a part of the examples where there is no room for their number."""


def variant_table(run: RunRecord, *, width: int) -> list[Line]:
    """Return the variants from the largest to the smallest, one row each, at most `width` wide.

    Columns without room stand in tables below, under the variant's name again. What several shapes
    of requests took is a table of its own.
    """
    rows = variant_rows(run)
    notes: list[str] = []
    if max(map(len, _lines(rows)), default=0) > width and _is_partial(run):
        rows, notes = _rows(run, is_short=True), [f" {_PARTIAL} on a part of the examples"]
    lines = [*_folded(rows, width), *notes, *_serving_lines(run, rows, width)]
    return [Line(text=text) for text in lines]


def variant_rows(run: RunRecord) -> list[dict[str, str]]:
    """Return the cells of each variant by header, from the largest to the smallest."""
    return _rows(run, is_short=False)


def shape_rows(run: RunRecord, order: Sequence[str]) -> list[list[dict[str, str]]]:
    """Return a table for each shape of requests, its variants in `order`; none for one shape."""
    tables = []
    for shape, found in shapes.items() if len(shapes := by_shape(run.latencies)) > 1 else ():
        cells = serving_cells(found)
        timed = sorted(cells, key=order.index)
        tables.append([{shape.name: name, **cells[name]} for name in timed])
    return tables


def _is_partial(run: RunRecord) -> bool:
    return any(measured.n != measured.n_planned for measured in run.measurements)


def _rows(run: RunRecord, *, is_short: bool) -> list[dict[str, str]]:
    """Return the cells of each variant, those of serving only where there is one shape."""
    sizes = weights_of(run)
    reference = next((one for one in run.measurements if one.is_reference), None)
    label = reference.variant_label if reference else _timed_reference(run)
    levels = _levels(run.measurements, is_short=is_short)
    shapes = by_shape(run.latencies)
    timed = serving_cells(run.latencies) if len(shapes) == 1 else {}
    served = [side.variant_label for one in run.latencies for side in (one.reference, one.variant)]
    shown = dict.fromkeys(name for name in (label, *levels, *served) if name)
    headers = dict.fromkeys(header for row in (*levels.values(), *timed.values()) for header in row)
    return [
        {
            "variant": name,
            "weights": format_bytes(sizes[name]),
            "ratio": f"{sizes[name] / sizes[label]:.2f}" if label else "-",
            **dict.fromkeys(headers, "-"),
            **levels.get(name, {}),
            **timed.get(name, {}),
        }
        for name in sorted(shown, key=lambda one: (one != label, -sizes[one]))
    ]


def _timed_reference(run: RunRecord) -> str:
    return run.latencies[0].reference.variant_label if run.latencies else ""


def _levels(
    measurements: Sequence[MeasurementRecord], *, is_short: bool
) -> dict[str, dict[str, str]]:
    """Return each variant's level on each workload, by header."""
    names = workload_names(measurements)
    found: dict[str, dict[str, str]] = {}
    for measured in measurements:
        header = names[measurement_key(measured)]
        header += " PPL" if measured.metric == "perplexity" else ""
        levels = found.setdefault(measured.variant_label, {})
        levels[header] = _level(measured, is_short=is_short)
    return found


def _level(measured: MeasurementRecord, *, is_short: bool) -> str:
    """Return a level; where it is not that of all examples, with their number or a mark."""
    level = format_quantity(measured.level, Unit(measured.level_unit))
    if measured.n == measured.n_planned:
        return level
    if is_short:
        return f"{level} {_PARTIAL}"
    return f"{level} (on {format_count(measured.n)} of {format_count(measured.n_planned)})"


def _serving_lines(run: RunRecord, rows: Sequence[dict[str, str]], width: int) -> list[str]:
    """Return what several shapes took, and of every timing where and how it was done."""
    lines: list[str] = []
    for table in shape_rows(run, [row["variant"] for row in rows]):
        lines += ["", *_folded(table, width)]
    return [*lines, *(line for note in serving_notes(run) for line in folded(note, width))]


def _folded(rows: Sequence[dict[str, str]], width: int) -> list[str]:
    """Return one table, or several below each other that are no wider than `width`."""
    if not rows:
        return []
    first, *others = rows[0]
    tables: list[list[str]] = [[first]]
    for column in others:
        wider = [*tables[-1], column]
        is_room = max(map(len, table_lines(rows, wider, right=RIGHT))) <= width
        if is_room or len(tables[-1]) == 1:
            tables[-1] = wider
        else:
            tables.append([first, column])
    return [line for columns in tables for line in table_lines(rows, columns, right=RIGHT)]


def _lines(rows: Sequence[dict[str, str]]) -> list[str]:
    return table_lines(rows, [*rows[0]], right=RIGHT) if rows else []


RIGHT = {"weights", "ratio", *SERVING_COLUMNS}
"""Columns that stand flush right."""

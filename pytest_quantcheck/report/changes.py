"""What changed from one run to another, as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantcheck.core.quantity import Unit, format_count, format_interval, format_quantity
from pytest_quantcheck.report.table import table_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One metric of one variant, in two runs."""

    workload: str
    """With the slice, if budgets are on one."""
    variant_label: str
    metric: str
    level_unit: str
    unit: str
    before: float
    after: float
    value: float | None
    """Degradation from the first run to the second, in `unit`; None where it has no test."""
    low: float | None
    high: float | None
    n: int
    """Examples of the second run that are compared."""
    how: str
    """`paired`, or why not."""
    is_regression: bool
    is_identical: bool
    """Whether every score is the same."""


def render_changes(changes: Sequence[Change], *, percent: str) -> Iterator[str]:
    """Yield the lines on what changed; what is identical is counted.

    Parameters
    ----------
    changes : sequence of Change
        All metrics that both runs have.
    percent : str
        Level of the intervals.
    """
    shown = [change for change in changes if not change.is_identical]
    n = len(changes) - len(shown)
    if shown:
        rows = [_row(one, f"degradation [{percent} % CI]") for one in shown]
        yield from table_lines(rows, [*rows[0]], right=())
    if n:
        yield f" identical: {format_count(n, 'metric')}"


def _row(change: Change, measured: str) -> dict[str, str]:
    level, unit = Unit(change.level_unit), Unit(change.unit)
    value = "-" if change.value is None else format_quantity(change.value, unit)
    if change.low is not None and change.high is not None:
        value += f" {format_interval(change.low, change.high, unit)}"
    return {
        "workload": change.workload or "(weights)",
        "variant": change.variant_label,
        "metric": change.metric,
        "before": format_quantity(change.before, level),
        "after": format_quantity(change.after, level),
        measured: value,
        "n": format_count(change.n) if change.n else "-",
        "": change.how,
        " ": "REGRESSION" if change.is_regression else "",
    }

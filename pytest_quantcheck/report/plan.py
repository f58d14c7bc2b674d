"""The plan of a run: what each budget can show with the examples at hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantcheck.core.quantity import Unit, format_count, format_quantity
from pytest_quantcheck.report.screen import inert
from pytest_quantcheck.report.table import table_lines
from pytest_quantcheck.report.wording import rounded_up

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantcheck.core.limit import Limit

_RIGHT = {"n", "clusters", "FAIL from", "PASS up to", "n for PASS", "n expected"}
_SECONDS_PER_MINUTE = 60
_OCCASIONAL = {"clusters", "n expected"}
"""Columns that are left out where they say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCheck:
    """One budget, before anything is measured."""

    workload: str
    """With the slice, if the budget is on one."""
    variant: str
    limit: Limit
    n: int | None = None
    """None: not known before the test's body runs."""
    n_clusters: int | None = None
    figures: Figures | None = None
    """None where nothing is tested, or n is not known."""
    runs_needed: int | None = None
    """Runs that a percentile takes, whatever the times are; of other limits None."""
    source: str
    """Where the assumptions come from, or why there are no figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a test can show with 80 % power."""

    smallest_fail: float | None
    """In the unit of the limit, as `largest_pass`; None: none."""
    largest_pass: float | None
    needed_n: int | None
    """For PASS where nothing is degraded; None: no number."""
    power: float | None
    """Chance of FAIL at `power_at`."""
    power_at: float | None
    is_toothless: bool
    expected_n: int | None = None
    """Examples until early stopping decides, on average, where nothing is degraded; None where all
    are measured."""


def render_plan(checks: Sequence[PlannedCheck]) -> list[str]:
    """Return the table, one line for each budget, and the warnings."""
    if not checks:
        return ["no budget is selected"]
    rows = [_row(check) for check in checks]
    is_said = {name: any(row[name] != "-" for row in rows) for name in _OCCASIONAL}
    columns = [name for name in rows[0] if is_said.get(name, True)]
    warnings = [warning for check in checks for warning in _warnings(check)]
    return [
        *table_lines(rows, columns, right=_RIGHT),
        *(inert(f" warning: {warning}") for warning in warnings),
    ]


def render_duration(measurements: Sequence[tuple[float, str] | None]) -> str:
    """Return how long scoring, generating and timing take.

    Parameters
    ----------
    measurements : sequence of (float, str) or None
        Seconds that each would take, and on what; None where no run was known.
    """
    known = [one for one in measurements if one is not None]
    if not known:
        return " how long measuring takes is known after a run"
    seconds = sum(one[0] for one in known)
    minutes = f"{seconds / _SECONDS_PER_MINUTE:.1f} minutes"
    devices = ", ".join(dict.fromkeys(one[1] for one in known))
    n_unknown = len(measurements) - len(known)
    found = f" measuring takes {minutes} on {devices} without loading, at the pace it had"
    if n_unknown:
        found += f"; {n_unknown} of {len(measurements)} measurements were never made"
    return inert(found)


def _row(check: PlannedCheck) -> dict[str, str]:
    figures, unit = check.figures, check.limit.unit

    def shown(value: float | None) -> str:
        return "none" if value is None else format_quantity(value, unit)

    return {
        "workload": check.workload,
        "variant": check.variant,
        "budget": _budget(check),
        "n": "-" if check.n is None else format_count(check.n),
        "clusters": "-" if check.n_clusters is None else format_count(check.n_clusters),
        "FAIL from": shown(figures.smallest_fail) if figures else "-",
        "PASS up to": shown(figures.largest_pass) if figures else "-",
        "n for PASS": _needed(check),
        "n expected": _expected(figures),
        "": check.source,
    }


def _budget(check: PlannedCheck) -> str:
    return f"{check.limit.keyword}={check.limit.value:g}"


def _needed(check: PlannedCheck) -> str:
    if check.figures is None:
        return "-" if check.runs_needed is None else format_count(check.runs_needed)
    needed = check.figures.needed_n
    return "none" if needed is None else format_count(needed)


def _expected(figures: Figures | None) -> str:
    if figures is None or figures.expected_n is None:
        return "-"
    return format_count(figures.expected_n)


def _warnings(check: PlannedCheck) -> list[str]:
    """Return what the budget can never do, or not with so many examples."""
    figures, n = check.figures, check.n
    if figures is None or n is None:
        return []
    found = []
    if figures.needed_n is None and figures.largest_pass is None:
        found.append(
            "can never be shown: no number of examples does, even if nothing is degraded; allow "
            "a little more"
        )
    elif figures.largest_pass is None and figures.needed_n is not None:
        more = f"; about {format_count(rounded_up(figures.needed_n))} would do"
        found.append(
            f"can hardly be shown with n = {format_count(n)}, even if nothing is degraded"
            + (more if figures.needed_n > n else "")
        )
    if figures.is_toothless and figures.power is not None and figures.power_at is not None:
        unit = check.limit.unit
        found.append(
            f"is toothless: even at {format_quantity(figures.power_at, unit)} it would be red with "
            f"a chance of only {format_quantity(figures.power, Unit.FRACTION)}; use more examples, "
            "fewer budgets or a looser limit"
        )
    return [f"{_budget(check)} of {check.variant} on {check.workload} {text}" for text in found]

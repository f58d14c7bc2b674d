"""Waivers: a red verdict that a team accepts until a day, shown as an expected failure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_quantcheck.core.budget import Gate, Target
from pytest_quantcheck.core.verdict import Outcome
from pytest_quantcheck.report import wording
from pytest_quantcheck.report.screen import inert

if TYPE_CHECKING:
    import datetime as dt

    import pytest

    from pytest_quantcheck.core.budget import Budget
    from pytest_quantcheck.core.record import CheckRecord
    from pytest_quantcheck.plugin.settings import Settings


class Waivers:
    """Which budgets are waived in this run.

    Parameters
    ----------
    today : date
        In UTC.
    is_off : bool
        Whether `--runxfail` asks for failures as they are.
    """

    def __init__(self, today: dt.date, *, is_off: bool) -> None:
        self._today = today
        self._is_off = is_off

    def covers(self, budget: Budget) -> bool:
        """Say whether a red verdict on `budget` blocks nobody today; its last day counts."""
        until = budget.waive_until
        return until is not None and self._today <= until and not self._is_off

    def in_force(self, budget: Budget) -> Budget:
        """Return the budget as this run reads it: without its waiver under `--runxfail`."""
        return replace(budget, waive_until=None) if self._is_off else budget

    def shares_alpha(self, budget: Budget, settings: Settings) -> bool:
        """Say whether `budget` counts in the family: it can err, and turn the run red.

        A claim about given examples can err only if it may come before all are measured.
        """
        target = settings.target_of(budget)
        can_err = target is Target.POPULATION or settings.may_stop(target)
        return budget.limit.is_statistical and can_err and not self.covers(budget)


def toothless_text(checks: list[CheckRecord]) -> str:
    """Return what is wrong with budgets that show nothing, where the strict gate asks."""
    lines = [
        inert(f"toothless: {wording.toothless(check)}")
        for check in checks
        if check.is_toothless and check.gate == Gate.STRICT.value
    ]
    return "\n".join(lines)


def excuse_of(checks: list[CheckRecord]) -> str:
    """Return why a red test blocks nobody; empty if one of its red verdicts is not waived."""
    red = [check for check in checks if check.is_red]
    if not all(check.is_waived for check in red):
        return ""
    return "; ".join(dict.fromkeys(f"{c.budget_reason} (until {c.waive_until})" for c in red))


def excuse(report: pytest.TestReport, reason: str) -> None:
    """Turn a failed report into an expected failure, as pytest's own xfail does."""
    report.outcome = "skipped"
    report.wasxfail = reason


def unneeded(checks: list[CheckRecord]) -> list[str]:
    """Return a line for each waiver whose budget passes."""
    return [
        f"waiver no longer needed: {check.keyword} of {check.nodeid} passes; remove "
        f"waive_until={check.waive_until!r}"
        for check in checks
        if check.waive_until is not None and check.outcome == Outcome.PASS.value
    ]

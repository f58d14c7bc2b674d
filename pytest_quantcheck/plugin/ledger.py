"""The run's records, gathered where pytest reports: in this process, or in xdist's controller."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_quantcheck.core.gather import Reported, gather, in_order
from pytest_quantcheck.core.plain import from_builtins
from pytest_quantcheck.core.record import CheckRecord, ItemRecord, RunRecord
from pytest_quantcheck.stats.holm import also_failing

if TYPE_CHECKING:
    import pytest

    from pytest_quantcheck.core.fingerprint import Plain


class Ledger:
    """Everything that test reports said about quantcheck.

    Parameters
    ----------
    started : str
        UTC, ISO 8601.
    """

    def __init__(self, started: str) -> None:
        self.started = started
        self._found: dict[str, Reported] = {}
        self._reached: set[str] = set()
        self.usage_errors: list[str] = []
        """Messages of wrong settings that came up while tests ran."""

    def add(self, report: pytest.TestReport) -> Reported | None:
        """Keep what `report` carries and return what it decides.

        A test that is run again replaces its earlier record.
        """
        data: dict[str, Plain] = report.quantcheck
        self._reached.add(report.nodeid)
        if isinstance(message := data.get("usage_error"), str):
            self.usage_errors.append(message)
        item = data.get("item")
        if not isinstance(item, dict):
            return None
        found = self._found[report.nodeid] = Reported(
            nodeid=report.nodeid,
            place=data["place"],  # type: ignore[arg-type]  # as reported
            worker=str(getattr(report, "worker_id", "") or "main"),
            item=from_builtins(ItemRecord, item),
        )
        return found

    @property
    def n_reached(self) -> int:
        """Quantcheck tests that were run, skipped or in error."""
        return len(self._reached)

    @property
    def checks(self) -> list[CheckRecord]:
        """Every decided check, in the order of the tests."""
        return [check for one in in_order(self._found.values()) for check in one.item.checks]

    def items_with(self, outcome: str) -> list[str]:
        """Return the ids of tests whose worst outcome is `outcome`."""
        found = in_order(self._found.values())
        return [one.nodeid for one in found if one.item.outcome == outcome]

    def run(self) -> RunRecord:
        """Return the record of the run so far."""
        run = gather(in_order(self._found.values()), started=self.started)
        return replace(run, also_failing=also_failing(run.checks, run.environments))

"""The run's records, gathered where pytest reports: in this process, or in xdist's controller."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantcheck.core.plain import from_builtins
from pytest_quantcheck.core.record import (
    SCHEMA_VERSION,
    CheckRecord,
    EnvironmentRecord,
    ItemRecord,
    MeasurementRecord,
    RunRecord,
)
from pytest_quantcheck.plugin.holm import also_failing

if TYPE_CHECKING:
    import pytest

    from pytest_quantcheck.core.fingerprint import Plain
    from pytest_quantcheck.core.serving import LatencyRecord
    from pytest_quantcheck.core.supplements import NoiseRecord


class Ledger:
    """Everything that test reports said about quantcheck.

    Parameters
    ----------
    started : str
        UTC, ISO 8601.
    """

    def __init__(self, started: str) -> None:
        self._started = started
        self._found: dict[str, ItemRecord] = {}
        self._places: dict[str, int] = {}
        self._reached: set[str] = set()
        self._workers: dict[tuple[str, str], set[str]] = {}
        self.examples: set[str] = set()
        """Lines of per-example records."""
        self.usage_errors: list[str] = []
        """Messages of wrong settings that came up while tests ran."""

    def add(self, report: pytest.TestReport) -> None:
        """Keep what `report` carries; a test that is run again replaces its earlier record."""
        data: dict[str, Plain] = report.quantcheck
        self._reached.add(report.nodeid)
        if isinstance(message := data.get("usage_error"), str):
            self.usage_errors.append(message)
        if isinstance(item := data.get("item"), dict):
            record = from_builtins(ItemRecord, item)
            self._found[report.nodeid] = record
            self._places[report.nodeid] = data["place"]  # type: ignore[assignment]  # as reported
            worker = str(getattr(report, "worker_id", "") or "main")
            for measured in record.measurements:
                key = (measured.model, measured.variant_label)
                self._workers.setdefault(key, set()).add(worker)

    @property
    def _items(self) -> dict[str, ItemRecord]:
        """What was decided, in the order of the tests: workers report in any."""
        return {
            nodeid: self._found[nodeid]
            for nodeid in sorted(self._found, key=self._places.__getitem__)
        }

    @property
    def n_reached(self) -> int:
        """Quantcheck tests that were run, skipped or in error."""
        return len(self._reached)

    @property
    def checks(self) -> list[CheckRecord]:
        """Every decided check, in the order of the tests."""
        return [check for item in self._items.values() for check in item.checks]

    def items_with(self, outcome: str) -> list[str]:
        """Return the ids of tests whose worst outcome is `outcome`."""
        return [nodeid for nodeid, item in self._items.items() if item.outcome == outcome]

    def run(self) -> RunRecord:
        """Return the record of the run so far."""
        environments: dict[str, EnvironmentRecord] = {}
        measured: dict[tuple[str, ...], MeasurementRecord] = {}
        noise: dict[tuple[str, ...], NoiseRecord] = {}
        for item in self._items.values():
            here = item.environment
            known = environments.setdefault(here.model, here)
            if sum(here.budgets_collected.values()) > sum(known.budgets_collected.values()):
                environments[here.model] = here
            for found in item.measurements:
                key = (found.model, found.variant_label, found.workload, found.fingerprint)
                if key not in measured or measured[key].n < found.n:
                    measured[key] = found
            for again in item.noise:
                key = (again.model, again.workload, again.fingerprint, again.metric)
                noise.setdefault(key, again)
        return RunRecord(
            schema_version=SCHEMA_VERSION,
            started=self._started,
            environment=next(iter(environments.values()), None),
            environments=list(environments.values()),
            checks=self.checks,
            also_failing=also_failing(self.checks, list(environments.values())),
            noise=list(noise.values()),
            measurements=list(measured.values()),
            latencies=self._latencies(),
            warnings=self._warnings(),
            examples=None,
        )

    def _latencies(self) -> list[LatencyRecord]:
        """Return what was timed, once for each variant, workload and batch size."""
        found: dict[tuple[object, ...], LatencyRecord] = {}
        for item in self._items.values():
            for one in item.latencies:
                key = (one.model, one.variant.variant_label, one.workload, one.slice)
                kept = found.get((*key, one.fingerprint))
                if kept is None or kept.n < one.n:
                    found[*key, one.fingerprint] = one
        return list(found.values())

    def _warnings(self) -> list[str]:
        """Return what items warn of, each text once, with the model where there are several."""
        items = self._items.values()
        is_one = len({item.environment.model for item in items}) <= 1
        said = dict.fromkeys(
            text if is_one else f"{item.environment.model}: {text}"
            for item in items
            for text in item.warnings
        )
        return [*said] + [
            f"{label}{'' if is_one else f' of {model}'} was loaded by {len(workers)} workers"
            for (model, label), workers in sorted(self._workers.items())
            if len(workers) > 1
        ]

"""From what tests reported to the record of the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantcheck.core.record import SCHEMA_VERSION, ItemRecord, RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_quantcheck.core.record import EnvironmentRecord, MeasurementRecord
    from pytest_quantcheck.core.serving import LatencyRecord
    from pytest_quantcheck.core.supplements import NoiseRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """What one test reported."""

    nodeid: str
    place: int
    """Among the tests of the run, whichever worker was first."""
    worker: str
    """Of xdist; `main` without."""
    item: ItemRecord


def in_order(reported: Iterable[Reported]) -> list[Reported]:
    """Return what tests reported in their order; one that ran again counts as it was last."""
    last = {one.nodeid: one for one in reported}
    return sorted(last.values(), key=lambda one: one.place)


def gather(reported: Sequence[Reported], *, started: str) -> RunRecord:
    """Return the record of a run of these tests, without what Holm's test adds.

    Parameters
    ----------
    reported : sequence of Reported
        In the order of the tests, each once.
    started : str
        UTC, ISO 8601.
    """
    items = [one.item for one in reported]
    environments: dict[str, EnvironmentRecord] = {}
    measured: dict[tuple[str, ...], MeasurementRecord] = {}
    noise: dict[tuple[str, ...], NoiseRecord] = {}
    for item in items:
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
        started=started,
        environment=next(iter(environments.values()), None),
        environments=list(environments.values()),
        checks=[check for item in items for check in item.checks],
        also_failing=[],
        noise=list(noise.values()),
        measurements=list(measured.values()),
        latencies=_latencies(items),
        warnings=_warnings(reported),
        examples=None,
    )


def _latencies(items: Sequence[ItemRecord]) -> list[LatencyRecord]:
    """Return what was timed, once for each variant, workload and batch size."""
    found: dict[tuple[object, ...], LatencyRecord] = {}
    for item in items:
        for one in item.latencies:
            key = (one.model, one.variant.variant_label, one.workload, one.slice, one.fingerprint)
            if key not in found or found[key].n < one.n:
                found[key] = one
    return list(found.values())


def _warnings(reported: Sequence[Reported]) -> list[str]:
    """Return what items warn of, each text once, with the model where there are several."""
    items = [one.item for one in reported]
    is_one = len({item.environment.model for item in items}) <= 1
    said = dict.fromkeys(
        text if is_one else f"{item.environment.model}: {text}"
        for item in items
        for text in item.warnings
    )
    workers: dict[tuple[str, str], set[str]] = {}
    for one in reported:
        for measured in one.item.measurements:
            key = (measured.model, measured.variant_label)
            workers.setdefault(key, set()).add(one.worker)
    return [*said] + [
        f"{label}{'' if is_one else f' of {model}'} was loaded by {len(names)} workers"
        for (model, label), names in sorted(workers.items())
        if len(names) > 1
    ]

"""What the tables of variants share: how large each is, and how workloads are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantcheck.core.record import MeasurementRecord, RunRecord


def weights_of(run: RunRecord) -> dict[str, int]:
    """Return the weight bytes of every variant, by label; the reference is one of them."""
    found = {one.variant_label: one.weight_bytes for one in run.measurements}
    for served in (side for one in run.latencies for side in (one.reference, one.variant)):
        found.setdefault(served.variant_label, served.memory.weight_bytes)
    for check in run.checks:
        if check.metric == "weight_memory":
            found.setdefault(check.reference_label, round(check.reference_level))
            found.setdefault(check.variant_label, round(check.variant_level))
    return found


def workload_names(measurements: Sequence[MeasurementRecord]) -> dict[tuple[str, str], str]:
    """Return a name for each workload, by name and fingerprint; namesakes are numbered."""
    names: dict[tuple[str, str], str] = {}
    for measured in measurements:
        if (key := measurement_key(measured)) not in names:
            namesakes = sum(name == measured.workload for name, _ in names)
            names[key] = measured.workload + (f" ({namesakes + 1})" if namesakes else "")
    return names


def measurement_key(measured: MeasurementRecord) -> tuple[str, str]:
    """Return what measurements on one workload have in common."""
    return measured.workload, measured.fingerprint

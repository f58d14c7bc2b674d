"""Where and how a run was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantcheck.core.quantity import Unit, format_bytes, format_count, format_quantity
from pytest_quantcheck.report.html.texts import NONE, shown

if TYPE_CHECKING:
    from pytest_quantcheck.core.record import MeasurementRecord, RunRecord

_DAY_AND_TIME = len("2026-11-20T10:00")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where one model was measured."""

    model: str
    revision: str
    reference: str
    device: str
    terms: str
    """Error rate, budgets, family."""
    versions: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurementRow:
    """One variant on one workload."""

    model: str
    workload: str
    variant: str
    weights: str
    metric: str
    level: str
    n: str
    tokens: str
    seconds: str
    compute: str
    plan: str
    measured: str


def machines(run: RunRecord) -> list[Machine]:
    """Return where each model was measured."""
    return [
        Machine(
            model=shown(one.model),
            revision=shown(one.revision or NONE),
            reference=shown(one.reference_label),
            device=shown(f"{one.device_name} ({one.device})"),
            terms=(
                f"alpha {one.alpha:g} over {format_count(one.checks_collected, 'budget')} "
                f"(family {one.family_size})"
            ),
            versions=[shown(f"{name} {number}") for name, number in sorted(one.versions.items())],
        )
        for one in run.environments
    ]


def measurement_rows(run: RunRecord) -> list[MeasurementRow]:
    """Return a row for each variant and workload, in the order they were measured."""
    return [_row(one) for one in run.measurements]


def _row(one: MeasurementRecord) -> MeasurementRow:
    n = format_count(one.n)
    stored = f", {format_count(one.n_from_store)} stored" if one.n_from_store else ""
    return MeasurementRow(
        model=shown(one.model),
        workload=shown(one.workload),
        variant=shown(one.variant_label),
        weights=format_bytes(one.weight_bytes),
        metric=one.metric,
        level=format_quantity(one.level, Unit(one.level_unit)),
        n=(n if one.n == one.n_planned else f"{n} of {format_count(one.n_planned)}") + stored,
        tokens=format_count(one.tokens),
        seconds=f"{one.seconds:.1f} s",
        compute=shown(one.compute_dtype),
        plan=shown(one.plan) or "a callable",
        measured=shown(one.measured_at[:_DAY_AND_TIME].replace("T", " ")),
    )

"""From two measurements and a budget to a record with its verdict."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_quantcheck.core.limit import Statistic
from pytest_quantcheck.core.metric import METRICS
from pytest_quantcheck.core.quantity import Unit
from pytest_quantcheck.core.record import MeasurementRecord
from pytest_quantcheck.plugin.checks import About, check_record
from pytest_quantcheck.plugin.noise import noise_floor
from pytest_quantcheck.plugin.pilots import pilot_of
from pytest_quantcheck.plugin.slices import restrict
from pytest_quantcheck.plugin.tokens import divergence_record, text_loss_record
from pytest_quantcheck.stats.noise import hold_back
from pytest_quantcheck.stats.pilot import foreseen_chance
from pytest_quantcheck.stats.procedures import judge, judge_weight_ratio
from pytest_quantcheck.stats.scores import metric_level
from pytest_quantcheck.stats.sequential.plan import foreseeing_looks
from pytest_quantcheck.stats.sequential.trial import can_stop

if TYPE_CHECKING:
    from pytest_quantcheck.core.budget import Budget, Gate, Target
    from pytest_quantcheck.core.limit import Limit
    from pytest_quantcheck.core.record import CheckRecord
    from pytest_quantcheck.core.verdict import Levels, Verdict
    from pytest_quantcheck.measure.course import Course
    from pytest_quantcheck.measure.measurement import MeasuredPair, Measurement
    from pytest_quantcheck.plugin.watch import Settled


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two variants of a check."""

    model: str
    """The model they are variants of, as shown."""
    revision: str | None
    """What it was loaded from."""
    label: str
    weight_bytes: int
    measurement: Measurement | None
    """None where only the weights count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Reference and variant, measured on the same examples."""

    reference: Side
    variant: Side
    noise: MeasuredPair | None = None
    """The reference measured twice on the workload, if that was asked; of no slice."""
    examples: str | None = None
    """Key of the variant's per-example record, if one is written."""
    course: Course | None = None
    """How the workload was measured, where it may be measured in part."""

    @property
    def measurements(self) -> tuple[Measurement, Measurement]:
        """Of reference and variant; there are some wherever a budget is statistical."""
        reference, variant = self.reference.measurement, self.variant.measurement
        assert reference is not None  # noqa: S101 - statistical budgets are measured
        assert variant is not None  # noqa: S101 - the same
        return reference, variant

    def restricted(self, name: str) -> Pair:
        """Return the pair on one slice of its workload."""
        reference, variant = (restrict(side, name) for side in self.measurements)
        return replace(
            self,
            reference=replace(self.reference, measurement=reference),
            variant=replace(self.variant, measurement=variant),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the run adds to a budget."""

    levels: Levels
    gate: Gate
    target: Target
    is_waived: bool
    is_in_family: bool
    looks_from: int | None
    """Examples of a workload from which on the verdict may come early; None: never."""


def evaluate(
    budget: Budget, pair: Pair, terms: Terms, settled: Settled | None = None
) -> CheckRecord:
    """Return the record of one budget, decided.

    Parameters
    ----------
    budget : Budget
        What is asked.
    pair : Pair
        The examples that the verdict is about, whole workloads and not slices.
    terms : Terms
        What the run adds.
    settled : Settled, optional
        What was decided as examples came.
    """
    if budget.limit.statistic is Statistic.WEIGHT_RATIO:
        return _weights(budget, pair, terms)
    if budget.slice is not None:
        pair = pair.restricted(budget.slice)
    reference, variant = pair.measurements
    metric = budget.limit.metric or correctness_metric(variant)
    bounds = variant.scores[metric].bounds
    verdict = settled.verdict if settled else _judged(budget, (reference, variant), metric, terms)
    floor = noise_floor(budget.limit, pair, metric, terms)
    verdict = hold_back(verdict, floor=floor, bound=budget.limit.bound)
    about = About(
        metric=metric,
        level_unit=METRICS[metric].level_unit,
        reference_level=metric_level(reference.scores[metric]),
        variant_level=metric_level(variant.scores[metric]),
        noise_floor=floor,
    )
    record = check_record(budget, pair, verdict=verdict, about=about, terms=terms)
    return record if settled is None else _early(record, budget.limit, settled, bounds)


def _judged(
    budget: Budget, sides: tuple[Measurement, Measurement], metric: str, terms: Terms
) -> Verdict:
    """Return the verdict on all examples; those it needs may be so many that looks are due."""
    limit, target = budget.limit, terms.target
    reference, variant = (side.scores[metric] for side in sides)
    verdict = judge(
        limit, reference, variant=variant, levels=terms.levels, target=target, gate=terms.gate
    )
    if verdict.needed_n is None or terms.looks_from is None or not can_stop(limit, target):
        return verdict
    in_workload = verdict.needed_n * sides[1].n_planned / verdict.estimate.n
    if in_workload < terms.looks_from:
        return verdict
    return foreseeing_looks(verdict, limit, bounds=variant.bounds)


def _early(
    record: CheckRecord, limit: Limit, settled: Settled, bounds: tuple[float, float] | None
) -> CheckRecord:
    """Return the record of a budget that could be decided before all examples were measured."""
    record = replace(record, n_planned=settled.n_planned, stopped_early=settled.stopped_early)
    if not settled.stopped_early:
        return record
    power = record.power
    if record.power_at is not None:  # about that of one test at the end
        levels, n = settled.verdict.levels, settled.n_planned
        power = foreseen_chance(limit, pilot_of(record), levels=levels, n=n, bounds=bounds)
    return replace(record, mcnemar_p=None, power=power)


def correctness_metric(measurement: Measurement) -> str:
    """Return the metric that says right or wrong, of those measured."""
    return next(name for name in measurement.scores if METRICS[name].is_correctness)


def measurement_record(side: Side, *, is_reference: bool) -> MeasurementRecord:
    """Return the record of one side's measurement."""
    measured = side.measurement
    assert measured is not None  # noqa: S101 - called for measured sides
    metric = next(iter(measured.scores))
    return MeasurementRecord(
        model=side.model,
        revision=side.revision,
        variant=measured.variant.name,
        variant_label=side.label,
        workload=measured.workload_name,
        metric=metric,
        level=metric_level(measured.scores[metric]),
        level_unit=METRICS[metric].level_unit.value,
        n=len(measured.examples),
        n_planned=measured.n_planned,
        tokens=measured.tokens,
        seconds=measured.seconds,
        measured_at=measured.measured_at,
        n_from_store=measured.n_stored,
        compute_dtype=measured.compute_dtype,
        plan=measured.plan,
        weight_bytes=side.weight_bytes,
        is_reference=is_reference,
        fingerprint=measured.fingerprint,
        prompt_fingerprint=measured.prompt_fingerprint,
        first_token_ids=list(measured.first_token_ids),
        text_loss=text_loss_record(measured),
        divergence=divergence_record(measured),
    )


def _weights(budget: Budget, pair: Pair, terms: Terms) -> CheckRecord:
    sizes = pair.reference.weight_bytes, pair.variant.weight_bytes
    verdict = judge_weight_ratio(
        budget.limit, sizes[0], variant_bytes=sizes[1], levels=terms.levels
    )
    about = About(
        metric="weight_memory",
        level_unit=Unit.BYTES,
        reference_level=float(sizes[0]),
        variant_level=float(sizes[1]),
    )
    return check_record(budget, pair, verdict=verdict, about=about, terms=terms)

"""What one test measures: reference and variant on workloads, as far as its budgets ask."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_quantcheck.plugin.evaluate import Pair, Side
from pytest_quantcheck.plugin.progress import verdicts_told
from pytest_quantcheck.plugin.slices import examples_of
from pytest_quantcheck.plugin.watch import FirstBatches, Watch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_quantcheck.core.budget import Budget
    from pytest_quantcheck.core.protocols import WorkloadLike
    from pytest_quantcheck.core.variant import Variant
    from pytest_quantcheck.measure.course import Course
    from pytest_quantcheck.measure.measurement import MeasuredPair, Measurement
    from pytest_quantcheck.plugin.evaluate import Terms
    from pytest_quantcheck.plugin.laboratory import Laboratory
    from pytest_quantcheck.plugin.outbox import Outbox
    from pytest_quantcheck.plugin.watch import Settled
    from pytest_quantcheck.workloads.base import Workload


@dataclass(slots=True, kw_only=True)
class _Seen:
    """What a test has seen of one workload."""

    measured: MeasuredPair
    pair: Pair
    n_batches: int


@dataclass(slots=True, kw_only=True)
class Bench:
    """Measures for one test; what it sees does not depend on what other tests measured."""

    laboratory: Laboratory
    variant: Variant
    outbox: Outbox
    measures_noise: bool = False
    _seen: dict[WorkloadLike, _Seen] = field(default_factory=dict)
    _settled: dict[Budget, Settled] = field(default_factory=dict)

    @property
    def pairs(self) -> dict[WorkloadLike, Pair]:
        """What was seen of each workload."""
        return {workload: seen.pair for workload, seen in self._seen.items()}

    def measure(self, workload: Workload[Any], budgets: Mapping[Budget, Terms]) -> Pair:
        """Measure a workload until these budgets are decided; all of it where there are none.

        Raises
        ------
        UsageError
            The workload has no slice of a budget's name; nothing was measured.
        """
        runner = self.laboratory.runner
        course = runner.course(workload)
        for budget in budgets:
            examples_of(budget, course.examples, workload=workload.name)
        # Before the variant, which may drive the reference out of memory.
        noise = runner.noise.measure(workload) if self.measures_noise else None
        watch = Watch(budgets, course) if budgets and len(course.parts) > 1 else None
        with verdicts_told(
            self.laboratory.progress,
            watch,
            lambda: [one.verdict.outcome for one in watch.settled.values()] if watch else (),
            n_budgets=len(budgets),
        ) as watcher:
            measured = runner.measure_pair(self.variant, workload, watcher)
        n_batches = sum(len(part.batches) for part in course.parts)
        if watch is not None:
            self._settled.update(watch.settled)
            n_batches = watch.n_batches
        seen = self._seen.get(workload)
        if seen is None or seen.n_batches < n_batches:
            pair = self._pair(measured, noise, course)
            seen = _Seen(measured=measured, pair=pair, n_batches=n_batches)
            self._seen[workload] = seen
        return seen.pair

    def settled(self, budget: Budget) -> Settled | None:
        """Return what was decided of a budget as examples came; None where all are needed."""
        return self._settled.get(budget)

    def pair_of(self, budget: Budget, workload: WorkloadLike | None) -> Pair:
        """Return what one budget is decided on: as much as it needs, and no more."""
        if workload is None or workload not in self._seen:
            return self._pair(None)
        seen, settled = self._seen[workload], self._settled.get(budget)
        if settled is None or settled.n_batches == seen.n_batches:
            return seen.pair
        first = FirstBatches(settled.n_batches)
        runner = self.laboratory.runner
        measured = runner.measure_pair(self.variant, workload, first)  # type: ignore[arg-type]  # measured before
        return self._pair(measured, seen.pair.noise, seen.pair.course)

    def _pair(
        self,
        measured: MeasuredPair | None,
        noise: MeasuredPair | None = None,
        course: Course | None = None,
    ) -> Pair:
        reference, variant = (measured.reference, measured.variant) if measured else (None, None)
        return self.outbox.add(
            Pair(
                reference=self._side(self.laboratory.reference, reference),
                variant=self._side(self.variant, variant),
                noise=noise,
                course=course if course is not None and len(course.parts) > 1 else None,
            )
        )

    def _side(self, variant: Variant, measurement: Measurement | None) -> Side:
        weights = self.laboratory.runner.weights(variant)
        return Side(
            model=self.laboratory.model.label,
            revision=weights.revision,
            label=self.laboratory.label(variant),
            weight_bytes=weights.stored_bytes,
            measurement=measurement,
        )

"""What one test times: its variant against the reference on `Latency` workloads."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pytest_quantcheck.core.latency import Stop
from pytest_quantcheck.core.limit import Statistic
from pytest_quantcheck.core.metric import METRICS
from pytest_quantcheck.core.verdict import Outcome
from pytest_quantcheck.errors import BackendUnavailable
from pytest_quantcheck.measure.backends import BUILTIN_BACKENDS
from pytest_quantcheck.measure.latency.meter import TimingTask
from pytest_quantcheck.plugin.checks import About, check_record
from pytest_quantcheck.plugin.served import Place, latency_record, level_of, levels_of
from pytest_quantcheck.plugin.timing_plan import check_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantcheck.core.budget import Budget
    from pytest_quantcheck.core.latency import LatencySamples
    from pytest_quantcheck.core.protocols import WorkloadLike
    from pytest_quantcheck.core.record import CheckRecord
    from pytest_quantcheck.core.serving import LatencyRecord
    from pytest_quantcheck.core.variant import Variant
    from pytest_quantcheck.core.verdict import Verdict
    from pytest_quantcheck.plugin.evaluate import Pair, Terms
    from pytest_quantcheck.plugin.laboratory import Laboratory
    from pytest_quantcheck.plugin.timing import Timing
    from pytest_quantcheck.workloads.latency import Latency

_OF_MEMORY = {Statistic.PEAK_MEMORY, Statistic.PEAK_MEMORY_RATIO}


@dataclass(slots=True, kw_only=True)
class TimingBench:
    """Times for one test."""

    laboratory: Laboratory
    variant: Variant
    _seen: dict[WorkloadLike, dict[int, Timing]] = field(default_factory=dict)

    def __contains__(self, workload: object) -> bool:
        """Whether the test has timed a workload."""
        return workload in self._seen

    def measure(self, workload: Latency, budgets: Sequence[Budget]) -> None:
        """Time every batch size until the test's budgets on it are decided.

        Raises
        ------
        BackendUnavailable
            A budget is on peak memory, and the device does not tell it.
        UsageError
            A budget names no batch size of several, or another one; or another worker shares the
            device.
        """
        self.laboratory.check_alone()
        wanted: dict[int, list[Budget]] = {size: [] for size in workload.batch_sizes}
        for budget in budgets:
            if budget.limit.quantile is not None:
                check_runs(budget, workload, self.laboratory.levels)
            wanted[workload.batch_size_of(budget.slice, shown=budget.shown)].append(budget)
        for size, mine in wanted.items():
            task = TimingTask(variant=self.variant, workload=workload, batch_size=size)
            self._check_memory(task, mine)
            self._seen.setdefault(workload, {})[size] = self.laboratory.timings.get(
                task, [one.limit for one in mine] if budgets else None, self.laboratory.levels
            )

    def levels(self, workload: Latency, *, variant: bool) -> dict[str, float]:
        """Return medians and peak memory by metric; `ttft[batch 8]` where there are slices."""
        return {
            f"{metric}[batch {size}]" if workload.slices else metric: value
            for size, timing in self._seen[workload].items()
            for metric, value in levels_of(timing.timed, variant=variant).items()
        }

    def n_of(self, workload: Latency) -> int:
        """Return how many pairs were timed, at the batch size with the fewest."""
        return min(timing.timed.samples.n for timing in self._seen[workload].values())

    def evaluate(
        self, budget: Budget, workload: Latency, *, pair: Pair, terms: Terms
    ) -> CheckRecord:
        """Return the record of one budget, decided."""
        size = workload.batch_size_of(budget.slice, shown=budget.shown)
        timing = self._seen[workload][size]
        timed, limit = timing.timed, budget.limit
        verdict = timing.verdict(limit)
        metric = limit.metric or ""
        about = About(
            metric=metric,
            level_unit=METRICS[metric].level_unit,
            reference_level=level_of(timed, limit, variant=False),
            variant_level=level_of(timed, limit, variant=True),
        )
        record = check_record(budget, pair, verdict=verdict, about=about, terms=terms)
        return replace(
            record,
            workload=workload.name,
            fingerprint=workload.fingerprint,
            prompt_fingerprint=timed.prompt_fingerprint,
            n_planned=timed.samples.n_planned if limit.is_statistical else None,
            stopped_early=limit.is_statistical and _is_early(verdict, timed.samples),
        )

    def records(self) -> list[LatencyRecord]:
        """Return a record of each workload and batch size."""
        return [
            latency_record(timing.timed, self._place)
            for timings in self._seen.values()
            for timing in timings.values()
        ]

    @property
    def _place(self) -> Place:
        laboratory = self.laboratory
        return Place(
            model=laboratory.model.label,
            runtime=self._runtime,
            device=laboratory.device.device,
            device_name=laboratory.device.name,
            reference_label=laboratory.label(laboratory.reference),
            variant_label=laboratory.label(self.variant),
            gpu_hour_cost=laboratory.gpu_hour_cost,
            alpha=laboratory.levels.alpha_pass,
        )

    @property
    def _runtime(self) -> str:
        """What serves: the built-in backends differ in how they load alone."""
        return "transformers" if self.variant.backend in BUILTIN_BACKENDS else self.variant.backend

    def _check_memory(self, task: TimingTask, budgets: Sequence[Budget]) -> None:
        """Raise BackendUnavailable if a budget asks for what the device does not tell."""
        asked = [budget for budget in budgets if budget.limit.statistic in _OF_MEMORY]
        if not asked:
            return
        found = self.laboratory.timings.meter.memory(task)
        if None in (found.reference.peak_bytes, found.variant.peak_bytes):
            device = self.laboratory.device.device
            needed = f"a CUDA device: on {device}" if device == "cpu" else "one GPU: over several"
            raise BackendUnavailable(
                f"{asked[0].shown}: {asked[0].limit.keyword} needs {needed} nobody "
                "counts the memory of one model; max_weight_memory_ratio can be decided everywhere"
            )


def _is_early(verdict: Verdict, samples: LatencySamples) -> bool:
    """Whether a verdict came before all runs that were planned, and the time limit did not ask."""
    is_decided = verdict.outcome is not Outcome.INCONCLUSIVE
    return is_decided and (samples.stopped is Stop.DECIDED or verdict.estimate.n < samples.n)

"""Timings of one model's variants, shared by all tests that ask for the same."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pytest_quantcheck.measure.latency.meter import TimingTask
from pytest_quantcheck.plugin.progress import verdicts_told
from pytest_quantcheck.stats.serving import LatencyWatch, judge_latency, judge_memory
from pytest_quantcheck.workloads.latency import Latency

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_quantcheck.core.budget import Budget
    from pytest_quantcheck.core.limit import Limit
    from pytest_quantcheck.core.variant import Variant
    from pytest_quantcheck.core.verdict import Levels, Verdict
    from pytest_quantcheck.measure.latency.meter import LatencyMeter
    from pytest_quantcheck.measure.latency.timed import TimedPair
    from pytest_quantcheck.plugin.progress import TerminalProgress


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Timing:
    """What was timed, and for which limits."""

    timed: TimedPair
    levels: Levels
    watched: frozenset[Limit]
    """Timing may have ended when all of these were decided."""

    def verdict(self, limit: Limit) -> Verdict:
        """Return the verdict on a limit."""
        if limit.is_statistical:
            return judge_latency(limit, self.timed.samples, levels=self.levels)
        return judge_memory(
            limit,
            self.timed.reference.memory.peak_bytes or 0,  # a test is skipped where it is not known
            variant_bytes=self.timed.variant.memory.peak_bytes or 0,
            levels=self.levels,
        )

    def serves(self, limits: Iterable[Limit]) -> bool:
        """Whether limits are decided as well by this timing as by a new one."""
        return self.timed.samples.is_final or self.watched.issuperset(limits)


@dataclass(slots=True, kw_only=True)
class Timings:
    """Times each variant on each workload once for all tests whose markers name both.

    A test whose body asks for more than was known is timed anew: samples that were stopped for
    other limits say too much of these.
    """

    meter: LatencyMeter
    may_stop: bool
    """Whether timing ends as soon as all is decided."""
    progress: TerminalProgress | None = None
    """Where verdicts so far are shown."""
    _known: dict[TimingTask, Timing] = field(default_factory=dict)
    _asked: dict[TimingTask, set[Limit]] = field(default_factory=dict)

    def foresee(self, budgets: Iterable[tuple[Variant, Budget]]) -> None:
        """Remember what tests will ask, as far as their markers say it."""
        for variant, budget in budgets:
            workload = budget.workload
            if isinstance(workload, Latency) and budget.limit.is_of_serving:
                size = workload.batch_size_of(budget.slice, shown=budget.shown)
                task = TimingTask(variant=variant, workload=workload, batch_size=size)
                self._asked.setdefault(task, set()).update(_tested([budget.limit]))

    def get(self, task: TimingTask, limits: Iterable[Limit] | None, levels: Levels) -> Timing:
        """Return a timing that decides these limits; a whole one where None asks for no limit."""
        wanted = frozenset(_tested(limits or ()))
        if task in self._known and self._known[task].serves(wanted):
            return self._known[task]
        is_asked = limits is not None or task in self._asked
        wanted |= self._asked.get(task, set())
        watch = LatencyWatch(wanted, levels) if self.may_stop and is_asked else None
        with verdicts_told(
            self.progress,
            watch,
            lambda: [one.outcome for one in watch.settled.values()] if watch else (),
            n_budgets=len(wanted),
        ) as watcher:
            timed = self.meter.measure(task, watcher)
        if not self.may_stop:  # nobody looked on the way
            timed = replace(timed, samples=replace(timed.samples, looks=()))
        self._known[task] = Timing(timed=timed, levels=levels, watched=wanted)
        return self._known[task]


def _tested(limits: Iterable[Limit]) -> Iterable[Limit]:
    """Return the limits that samples decide; the others are compared exactly."""
    return (limit for limit in limits if limit.is_statistical)

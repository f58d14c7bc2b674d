"""Times variants of one model against its reference."""

from __future__ import annotations

import datetime as dt
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self

from pytest_quantcheck.core.latency import Schedule
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.measure.latency.course import Surroundings
from pytest_quantcheck.measure.latency.prompts import shape_of
from pytest_quantcheck.measure.latency.sampler import sample_loads, sample_pairs
from pytest_quantcheck.measure.latency.schedule import RUNS_PER_LOAD, Sides, TimingPlan
from pytest_quantcheck.measure.latency.timed import TimedPair, TimedSide
from pytest_quantcheck.measure.outcome import Failed, attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_quantcheck.core.latency import LatencySamples
    from pytest_quantcheck.core.protocols import Progress, Watcher
    from pytest_quantcheck.core.variant import Variant
    from pytest_quantcheck.measure.latency.protocols import (
        Conditions,
        MemoryUse,
        Server,
        Serving,
        Shape,
    )
    from pytest_quantcheck.measure.latency.sampler import Opener
    from pytest_quantcheck.measure.pool import Pool
    from pytest_quantcheck.workloads.latency import Latency

_LOADS = 12
"""Blocks of loads at the least: 8 are too few for FAIL where many budgets share alpha."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingTask:
    """One variant on one workload at one batch size."""

    variant: Variant
    workload: Latency
    batch_size: int


class LatencyMeter:
    """Times variants of one model against its reference.

    Parameters
    ----------
    pool : Pool
        Where variants are loaded.
    reference : Variant
        What the others are compared with.
    conditions : callable
        Returns who knows how a device fares.
    seed : int
        Of synthetic prompts and of the order of runs.
    progress : Progress, optional
        Who is told how far the timing is.

    Notes
    -----
    Both variants are in memory side by side where they fit, and loaded in turn where they do not.
    Nothing is kept between runs.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        reference: Variant,
        conditions: Callable[[str], Conditions],
        seed: int = 0,
        progress: Progress | None = None,
    ) -> None:
        self._pool = pool
        self._reference = reference
        self._conditions = conditions
        self._seed = seed
        self._progress = progress
        self._shapes: dict[TimingTask, Shape] = {}
        self._memory: dict[tuple[Variant, Shape], MemoryUse] = {}
        self._failures: dict[TimingTask, Failed] = {}

    def measure(
        self, task: TimingTask, watcher: Watcher[LatencySamples] | None = None
    ) -> TimedPair:
        """Return times and memory of reference and variant.

        Parameters
        ----------
        task : TimingTask
            What is timed.
        watcher : Watcher, optional
            Gets all samples at each look, and says when they are enough; without one as many pairs
            are timed as the workload allows.

        Raises
        ------
        BackendUnavailable
            A variant needs a package or device that is missing.
        UsageError
            A variant cannot be loaded, or not be timed on this workload.
        MeasurementError
            The requests do not fit into memory.

        Notes
        -----
        An error is remembered, and raised again for whoever asks.
        """
        if task in self._failures:
            self._failures[task].again()
        found = attempt(partial(self._measured, task, watcher))
        if isinstance(found, Failed):
            self._failures[task] = found
            found.again()
        return found

    def memory(self, task: TimingTask) -> Sides[MemoryUse]:
        """Return what reference and variant take while they serve; errors as for `measure`."""
        shape = self._asked(task)
        uses = [self._memory_use(task, one, shape) for one in (self._reference, task.variant)]
        return Sides(reference=uses[0], variant=uses[1])

    def _memory_use(self, task: TimingTask, variant: Variant, shape: Shape) -> MemoryUse:
        """Measure what a variant takes, once."""
        key = (variant, shape)
        if key not in self._memory:
            checked = self._checked(task, variant, shape)
            self._memory[key] = self._pool.memory_use(variant, checked)
        return self._memory[key]

    def _measured(self, task: TimingTask, watcher: Watcher[LatencySamples] | None) -> TimedPair:
        shape, memory = self._asked(task), self.memory(task)
        fit = self._pool.fits_both(self._reference, task.variant)
        plan = _plan(task.workload, Schedule.PAIRS if fit else Schedule.LOADS, self._seed)
        with _Told(self._progress, watcher, task, plan.n_planned) as told:
            samples = self._sampled(task, shape, plan, told)
        return TimedPair(
            workload=task.workload,
            shape=shape,
            reference=TimedSide(variant=self._reference, memory=memory.reference),
            variant=TimedSide(variant=task.variant, memory=memory.variant),
            samples=samples,
            measured_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        )

    def _sampled(
        self, task: TimingTask, shape: Shape, plan: TimingPlan, watcher: Watcher[LatencySamples]
    ) -> LatencySamples:
        variants = (self._reference, task.variant)
        surroundings = Surroundings(
            conditions=self._conditions(self._pool.source.device), watcher=watcher
        )
        if plan.schedule is Schedule.LOADS:
            before, after = (partial(self._fresh, one, shape) for one in variants)
            openers: Sides[Opener] = Sides(reference=before, variant=after)
            return sample_loads(openers, plan, surroundings=surroundings)
        loaded = [self._serving(one) for one in variants]
        with (
            closing(loaded[0].server(shape)) as reference,
            closing(loaded[1].server(shape)) as variant,
        ):
            servers = Sides(reference=reference, variant=variant)
            return sample_pairs(servers, plan, surroundings=surroundings)

    @contextmanager
    def _fresh(self, variant: Variant, shape: Shape) -> Iterator[Server]:
        """Load a variant anew, and free it in the end."""
        self._pool.release(variant)
        try:
            with closing(self._serving(variant).server(shape)) as server:
                yield server
        finally:
            self._pool.release(variant)

    def _checked(self, task: TimingTask, variant: Variant, shape: Shape) -> Shape:
        """Return the shape, having seen that a variant reads the same prompts."""
        if variant != self._reference and self._shape(task, variant) != shape:
            raise UsageError(
                f"workload {task.workload.name}: {variant.label} has another tokenizer than the "
                "reference, so that their requests would not be the same"
            )
        return shape

    def _asked(self, task: TimingTask) -> Shape:
        """Return what is served, made once: a large reference is not loaded again for it."""
        if task not in self._shapes:
            self._shapes[task] = self._shape(task, self._reference)
        return self._shapes[task]

    def _shape(self, task: TimingTask, variant: Variant) -> Shape:
        loaded = self._pool.get(variant)
        self._serving(variant)
        return shape_of(task.workload, task.batch_size, loaded, seed=self._seed)

    def _serving(self, variant: Variant) -> Serving:
        """Return a variant in memory that can be timed."""
        loaded = self._pool.get(variant)
        if not hasattr(loaded, "server") or not hasattr(loaded, "memory_use"):
            raise UsageError(
                f"variant {variant.label}: its backend {variant.backend!r} offers no server(shape) "
                "and memory_use(shape), so it cannot be timed; language models of the backends "
                "transformers, bitsandbytes and checkpoint can"
            )
        return loaded


def _plan(workload: Latency, schedule: Schedule, seed: int) -> TimingPlan:
    """Return how much is timed at most; of several batch sizes each gets its share of the time."""
    blocks = max(_LOADS, -(-workload.repeats // RUNS_PER_LOAD))
    n_sizes = len(workload.batch_sizes)
    return TimingPlan(
        schedule=schedule,
        n_planned=workload.repeats if schedule is Schedule.PAIRS else blocks,
        seed=seed,
        seconds=None if workload.seconds is None else workload.seconds / n_sizes,
    )


class _Told:
    """A watcher that also tells how far the timing is."""

    def __init__(
        self,
        progress: Progress | None,
        watcher: Watcher[LatencySamples] | None,
        task: TimingTask,
        total: int,
    ) -> None:
        self._progress = progress
        self._watcher = watcher
        self._task = task
        self._total = total

    def __enter__(self) -> Self:
        if self._progress is not None:
            self._progress.start(self._task.variant.label, self._task.workload.name, self._total)
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.finish()

    def update(self, batch: LatencySamples) -> bool:
        """Take in all samples so far; return whether no more are needed."""
        is_enough = self._watcher is not None and self._watcher.update(batch)
        if self._progress is not None:
            tokens = sum(run.new_tokens * run.batch_size for run in batch.runs)
            self._progress.advance(batch.n, tokens)
        return is_enough

"""What one timing has seen so far."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from pytest_quantcheck.core.latency import LatencySamples, RunTimes, Served, Stop
from pytest_quantcheck.measure.latency.schedule import draw_orders
from pytest_quantcheck.measure.latency.stopping import Stopping
from pytest_quantcheck.measure.latency.throttling import Throttling

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_quantcheck.core.protocols import Watcher
    from pytest_quantcheck.measure.latency.protocols import Conditions, Server
    from pytest_quantcheck.measure.latency.schedule import TimingPlan

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What timing looks at beside the models."""

    conditions: Conditions
    watcher: Watcher[LatencySamples] | None = None
    """Says at each look whether all is decided; None: all blocks are timed."""
    now: Callable[[], float] = time.perf_counter
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedRun:
    """One run that counts."""

    is_variant: bool
    times: RunTimes


class Course:
    """Blocks of runs as they come, until it is enough."""

    def __init__(self, plan: TimingPlan, surroundings: Surroundings) -> None:
        """Start the clock."""
        self._plan, self._surroundings = plan, surroundings
        self._stopping = Stopping(plan, surroundings.watcher, now=surroundings.now)
        self._throttling = Throttling()
        self._blocks: list[list[TimedRun]] = []
        self._throttled: list[int] = []
        self._served: dict[bool, Served] = {}
        self._contention = surroundings.conditions.contention()
        self.orders = draw_orders(plan.seed)
        """Whether the first run of the next block, and the second, is the variant's."""
        self.stopped: Stop | None = None
        """Why no more blocks are to come."""

    @property
    def blocks_to_look(self) -> int:
        """Blocks to the next look."""
        return self._stopping.blocks_to_look(len(self._blocks))

    def note_served(self, server: Server, *, is_variant: bool) -> None:
        """Remember how one side is served."""
        self._served[is_variant] = Served(mode=server.mode, fallback=server.fallback)

    def uncounted(self, work: Callable[[], ResultT]) -> ResultT:
        """Return what some work gives, whose time is no part of the timing, such as loading."""
        since = self._surroundings.now()
        found = work()
        self._stopping.leave_out(since)
        return found

    def time_steadily(
        self, measure: Callable[[], ResultT], *, settle: Callable[[], object]
    ) -> tuple[ResultT, bool]:
        """Return what was measured at full clock, or in the end without, and whether without.

        `settle` runs after each pause, and does not count.
        """
        conditions, retries = self._surroundings.conditions, 0
        while True:
            before = conditions.read()
            found = measure()
            if not self._throttling.is_throttled(before, conditions.read()):
                return found, False
            pause = self._throttling.discard(retries)
            if pause is None:
                return found, True
            retries += 1
            self._surroundings.sleep(pause)
            settle()

    def add(self, blocks: list[list[TimedRun]], *, is_throttled: bool) -> None:
        """Take in blocks that were timed together, and see whether it is enough."""
        start = len(self._blocks)
        self._blocks += blocks
        if is_throttled:
            self._throttled += range(start, len(self._blocks))
        self.stopped = self._stopping.update(len(self._blocks), self.samples)

    def finish(self) -> LatencySamples:
        """Return all that was timed, having looked who else uses the device."""
        seen = (self._contention, self._surroundings.conditions.contention())
        self._contention = max(seen, key=_weigh)
        return self.samples()

    def samples(self) -> LatencySamples:
        """Return what was timed so far."""
        numbered = [(i, run) for i, block in enumerate(self._blocks) for run in block]
        return LatencySamples(
            schedule=self._plan.schedule,
            blocks=tuple(i for i, _ in numbered),
            is_variant=tuple(run.is_variant for _, run in numbered),
            runs=tuple(run.times for _, run in numbered),
            n_planned=self._plan.n_planned,
            looks=self._stopping.looks,
            stopped=self.stopped,
            seed=self._plan.seed,
            reference=self._served[False],
            variant=self._served[True],
            n_discarded=self._throttling.n_discarded,
            throttled=tuple(self._throttled),
            reasons=self._throttling.reasons,
            sm_clock_mhz=self._throttling.clock_mhz.found,
            temperature_celsius=self._throttling.temperature_celsius.found,
            contention=self._contention,
            seconds=self._stopping.seconds,
        )


def _weigh(contention: str) -> int:
    """Return how much a report of contention says: what is named more than what is unknown."""
    return {"none": 0, "unknown": 1}.get(contention, 2)

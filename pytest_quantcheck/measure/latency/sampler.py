"""Timing of reference and variant against each other, in random order and in like conditions."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

from pytest_quantcheck.measure.latency.course import Course, TimedRun
from pytest_quantcheck.measure.latency.schedule import pairs_per_block

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from pytest_quantcheck.core.latency import LatencySamples, RunTimes
    from pytest_quantcheck.measure.latency.course import Surroundings
    from pytest_quantcheck.measure.latency.protocols import Server
    from pytest_quantcheck.measure.latency.schedule import Sides, TimingPlan

    Opener: TypeAlias = Callable[[], AbstractContextManager[Server]]
    """Loads a variant and makes it ready to serve; leaving the context unloads it."""


def sample_pairs(
    servers: Sides[Server], plan: TimingPlan, *, surroundings: Surroundings
) -> LatencySamples:
    """Return times of neighbouring runs of two models that are both in memory.

    Parameters
    ----------
    servers : Sides of Server
        Ready to serve the same shape; they stay open.
    plan : TimingPlan
        Of pairs.
    surroundings : Surroundings
        Device, watcher and clock.

    Notes
    -----
    Each pair is one run of either model, in an order drawn for that pair. The state of the device
    is read before and after a block of pairs, which lasts 50 ms or longer. Where its clock was held
    down all of the block is timed again after a pause, at most three times, then kept and named.
    It is timed in the same orders: were they drawn again, an order after which the device is
    throttled more often would be rarer among the runs that count, and the test would rest on
    orders that are no coin's.
    """
    course = Course(plan, surroundings)
    for is_variant in (False, True):
        course.note_served(servers.of(variant=is_variant), is_variant=is_variant)

    def pairs(orders: Sequence[tuple[bool, bool]]) -> list[list[TimedRun]]:
        return [
            [TimedRun(is_variant=side, times=servers.of(variant=side).run()) for side in order]
            for order in orders
        ]

    def draw(count: int) -> list[tuple[bool, bool]]:
        return [*islice(course.orders, count)]

    warm = pairs(draw(plan.warmups))
    size = pairs_per_block(min(sum(run.times.e2e_seconds for run in pair) for pair in warm))
    while course.stopped is None:
        orders = draw(min(size, course.blocks_to_look))
        timed, is_throttled = course.time_steadily(
            partial(pairs, orders), settle=partial(pairs, orders[:1])
        )
        course.add(timed, is_throttled=is_throttled)
    return course.finish()


def sample_loads(
    openers: Sides[Opener], plan: TimingPlan, *, surroundings: Surroundings
) -> LatencySamples:
    """Return times of two models that do not fit in memory together.

    Parameters
    ----------
    openers : Sides of Opener
        Each loads its model anew.
    plan : TimingPlan
        Of loads.
    surroundings : Surroundings
        Device, watcher and clock.

    Notes
    -----
    In each block either model is loaded once, in an order drawn for that block, warmed up and
    timed several times. Loading and unloading are no part of the time that is limited.
    """
    course = Course(plan, surroundings)
    while course.stopped is None:
        block, any_throttled = [], False
        for side in next(course.orders):
            with ExitStack() as opened:
                server = course.uncounted(partial(opened.enter_context, openers.of(variant=side)()))
                course.note_served(server, is_variant=side)
                runs, is_throttled = _run_load(server, plan, course)
                course.uncounted(opened.close)
            block += [TimedRun(is_variant=side, times=times) for times in runs]
            any_throttled |= is_throttled
        course.add([block], is_throttled=any_throttled)
    return course.finish()


def _run_load(server: Server, plan: TimingPlan, course: Course) -> tuple[list[RunTimes], bool]:
    """Return the runs of one load that count, and whether the device was throttled."""
    for _ in range(plan.warmups):
        server.run()
    return course.time_steadily(
        lambda: [server.run() for _ in range(plan.runs_per_load)], settle=server.run
    )

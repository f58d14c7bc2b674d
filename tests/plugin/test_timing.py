"""One timing serves all tests whose limits it decides, and no other."""

from types import SimpleNamespace

import pytest

from pytest_quantcheck.core.grammar import parse_limit
from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.measure.latency.meter import TimingTask
from pytest_quantcheck.plugin.timing import Timings
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.workloads.latency import Latency

TASK = TimingTask(
    variant=builtin_variant("int4"),
    workload=Latency(prompt_tokens=8, new_tokens=2),
    batch_size=1,
)
TTFT, TPOT = parse_limit("max_ttft_ratio", 1.5), parse_limit("max_tpot_ratio", 1.5)
MEMORY = parse_limit("max_peak_memory_ratio", 0.6)


class Clock:
    """Counts how often something is timed, and for whom."""

    def __init__(self, *, is_final):
        self.is_final = is_final
        self.watchers = []

    def measure(self, task, watcher):
        assert task == TASK
        self.watchers.append(watcher)
        return SimpleNamespace(samples=SimpleNamespace(is_final=self.is_final))


@pytest.mark.parametrize(
    ("is_final", "asked", "times"),
    [
        (False, [[TTFT], [TTFT]], 1),
        (False, [[TTFT], [TPOT]], 2),
        (False, [[TTFT, TPOT], [TPOT]], 1),
        (False, [[TTFT], [TTFT, MEMORY]], 1),  # memory is compared exactly
        (True, [[TTFT], [TPOT]], 1),
    ],
)
def test_what_was_stopped_for_other_limits_is_timed_anew(is_final, asked, times):
    clock = Clock(is_final=is_final)
    timings = Timings(meter=clock, may_stop=True)

    found = [timings.get(TASK, limits, levels(0.05, 1)) for limits in asked]

    assert len(clock.watchers) == times
    assert (found[0] is found[-1]) == (times == 1)
    assert all(watcher is not None for watcher in clock.watchers)


def test_a_body_without_limits_times_all():
    clock = Clock(is_final=True)

    Timings(meter=clock, may_stop=True).get(TASK, None, levels(0.05, 1))

    assert clock.watchers == [None]

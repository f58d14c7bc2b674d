"""A clock that moves when told, servers that take the time they are told, and a device's state."""

from __future__ import annotations

from contextlib import contextmanager

from pytest_quantcheck.core.latency import RunTimes
from pytest_quantcheck.measure.latency.protocols import DeviceState

NEW_TOKENS = 5
COOL = DeviceState()


class FakeClock:
    """Time that passes by runs and by sleeping alone."""

    def __init__(self):
        self.seconds = 0.0
        self.slept = []

    def now(self):
        return self.seconds

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.seconds += seconds


class FakeServer:
    """A model whose runs take what `duration`, a function of the time, says."""

    fallback = ""

    def __init__(self, clock, duration, *, name="", log=None, mode="eager"):
        self._clock, self._duration, self._name = clock, duration, name
        self._log = [] if log is None else log
        self.mode = mode
        self.runs = 0

    def run(self):
        seconds = self._duration(self._clock.seconds)
        self._clock.seconds += seconds
        self._log.append(self._name)
        self.runs += 1
        return RunTimes(
            ttft_seconds=0.2 * seconds,
            e2e_seconds=seconds,
            device_seconds=0.5 * seconds,
            new_tokens=NEW_TOKENS,
            batch_size=1,
        )

    def close(self):
        self._log.append(f"close {self._name}")


class FakeConditions:
    """A device that is in the states given, one after the other, and then in the last one."""

    def __init__(self, states=(COOL,), contention=("none",)):
        self._states, self._contention = list(states), list(contention)
        self.reads = 0

    def read(self):
        self.reads += 1
        return self._states.pop(0) if len(self._states) > 1 else self._states[0]

    def contention(self):
        return self._contention.pop(0) if len(self._contention) > 1 else self._contention[0]


class FakeWatcher:
    """Says that all is decided after so many blocks."""

    def __init__(self, enough):
        self._enough = enough
        self.asked = []

    def update(self, samples):
        self.asked.append(samples.n)
        return samples.n >= self._enough


@contextmanager
def loaded(server, log, clock=None):
    """Open a server as a load does; half a minute to load, five seconds to free on a clock."""
    log.append("load")
    if clock is not None:
        clock.seconds += 30.0
    yield server
    server.close()
    if clock is not None:
        clock.seconds += 5.0

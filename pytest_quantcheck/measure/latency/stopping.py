"""When enough was timed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantcheck.core.latency import Stop

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_quantcheck.core.latency import LatencySamples
    from pytest_quantcheck.core.protocols import Watcher
    from pytest_quantcheck.measure.latency.schedule import TimingPlan


class Stopping:
    """One timing's end: all decided, all timed, or out of time.

    Notes
    -----
    The looks are planned before the first run. That the time limit cuts them short does not depend
    on which of both models is faster, so it costs no error.
    """

    def __init__(
        self,
        plan: TimingPlan,
        watcher: Watcher[LatencySamples] | None,
        *,
        now: Callable[[], float],
    ) -> None:
        """Start the clock."""
        self._plan, self._watcher, self._now = plan, watcher, now
        self._started, self._planned = now(), plan.looks
        self.looks: tuple[int, ...] = ()
        """After how many blocks the watcher was asked."""

    @property
    def seconds(self) -> float:
        """Time since the start, without what was left out."""
        return self._now() - self._started

    def leave_out(self, since: float) -> None:
        """Do not count the time from `since`, on the same clock, to now."""
        self._started += self._now() - since

    def blocks_to_look(self, n: int) -> int:
        """Return how many blocks there are to the next look, after n of them."""
        return next(look for look in self._planned if look > n) - n

    def update(self, n: int, samples: Callable[[], LatencySamples]) -> Stop | None:
        """Return why timing ends after n blocks, whose samples are at hand; None to go on."""
        if n >= self._plan.n_planned:
            return Stop.REPEATS
        if n in self._planned:
            self.looks = (*self.looks, n)
            if self._watcher is not None and self._watcher.update(samples()):
                return Stop.DECIDED
        limit = self._plan.seconds
        return Stop.SECONDS if limit is not None and self.seconds >= limit else None

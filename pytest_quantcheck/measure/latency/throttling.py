"""Whether a device kept its clock while it was timed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_quantcheck.measure.latency.protocols import DeviceState

SLOWEST_CLOCK = 0.75
"""Part of the fastest clock seen; a block that ends below it is timed again."""
MOST_RETRIES = 3
"""How often one block is timed again."""
MOST_DISCARDED = 20
"""Blocks that are timed again in all: a device that stays throttled is measured so."""
_FIRST_PAUSE_SECONDS = 0.05


@dataclass(slots=True)
class Span:
    """Least and greatest of some readings, of which there may be none."""

    found: tuple[int, int] | None = None

    def add(self, reading: int | None) -> None:
        """Take one reading in; None where there was none."""
        if reading is not None:
            low, high = self.found or (reading, reading)
            self.found = min(low, reading), max(high, reading)


class Throttling:
    """What was seen of the device's clock so far."""

    def __init__(self) -> None:
        """Begin with no block seen."""
        self._fastest_mhz = 0
        self.clock_mhz, self.temperature_celsius = Span(), Span()
        """At the end of each block: between blocks a device may idle."""
        self._reasons: dict[str, None] = {}
        self.n_discarded = 0
        """Blocks to be timed again."""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the clock was held down, in the order of time."""
        return tuple(self._reasons)

    def is_throttled(self, before: DeviceState, after: DeviceState) -> bool:
        """Return whether the clock was held down during a block.

        The clock itself counts at the end only: between blocks a device may idle.
        """
        seen = [state.sm_clock_mhz for state in (before, after) if state.sm_clock_mhz is not None]
        self._fastest_mhz = max([self._fastest_mhz, *seen])
        found = dict.fromkeys((*before.reasons, *after.reasons))
        last = after.sm_clock_mhz
        self.clock_mhz.add(last)
        self.temperature_celsius.add(after.temperature_celsius)
        if last is not None and last < SLOWEST_CLOCK * self._fastest_mhz:
            found["clock below 75 % of its fastest"] = None
        self._reasons |= found
        return bool(found)

    def discard(self, retries: int) -> float | None:
        """Return how long to wait before a throttled block is timed again; None to keep it."""
        if retries >= MOST_RETRIES or self.n_discarded >= MOST_DISCARDED:
            return None
        self.n_discarded += 1
        return _FIRST_PAUSE_SECONDS * 2.0**retries

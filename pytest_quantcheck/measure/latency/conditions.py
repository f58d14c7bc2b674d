"""Who knows how a device fares while models are timed on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantcheck.measure.latency.nvml import nvml_conditions
from pytest_quantcheck.measure.latency.protocols import DeviceState

if TYPE_CHECKING:
    from pytest_quantcheck.measure.latency.protocols import Conditions


class Unread:
    """Conditions of a device that tells nothing of itself, as a CPU."""

    def read(self) -> DeviceState:
        """Return a state without anything known."""
        return DeviceState()

    def contention(self) -> str:
        """Return that nobody knows who else computes."""
        return "unknown"


def conditions_of(device: str) -> Conditions:
    """Return who knows how a device fares: NVML of a GPU, where it is there to ask."""
    found = nvml_conditions(device) if device.startswith("cuda") else None
    return Unread() if found is None else found

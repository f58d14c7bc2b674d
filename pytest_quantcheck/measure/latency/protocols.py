"""What the timing of models is made of: shapes, servers, and conditions of the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pytest_quantcheck.core.latency import RunTimes
from pytest_quantcheck.core.memory import MemoryUse

__all__ = [
    "Conditions",
    "DeviceState",
    "MemoryUse",
    "RunTimes",
    "Server",
    "Serving",
    "Shape",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One kind of request batch, which is served again and again."""

    prompts: tuple[tuple[int, ...], ...]
    """Token ids, one row for each request."""
    new_tokens: int
    """Tokens that each request gets, no more and no fewer."""
    mode: str
    """"eager" or "compiled": what is asked for."""

    @property
    def batch_size(self) -> int:
        """Requests that are served together."""
        return len(self.prompts)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceState:
    """How the device fares at one moment."""

    reasons: tuple[str, ...] = ()
    """Why its clock is held down, as the driver names it: throttling only, not idling and not the
    power cap that large matrices reach."""
    sm_clock_mhz: int | None = None
    """None where it cannot be read."""
    temperature_celsius: int | None = None
    """None where it cannot be read."""


class Server(Protocol):
    """A loaded variant that is ready to serve one shape."""

    @property
    def mode(self) -> str:
        """How it really runs: "eager" or "compiled"."""
        ...

    @property
    def fallback(self) -> str:
        """Why that is not the mode asked for; empty if it is."""
        ...

    def run(self) -> RunTimes:
        """Serve the shape once; the device is idle at each stamp of the clock."""
        ...

    def close(self) -> None:
        """Give back what serving took, such as caches and graphs."""
        ...


class Serving(Protocol):
    """A variant in memory, as far as it can be timed."""

    def server(self, shape: Shape) -> Server:
        """Return what serves requests of one shape.

        Raises
        ------
        UsageError
            The model cannot serve the shape.
        MeasurementError
            It does not fit into the memory of the device, or the model breaks on it.
        """
        ...

    def memory_use(self, shape: Shape) -> MemoryUse:
        """Return what the variant takes while it serves a shape; errors as for `server`."""
        ...


class Conditions(Protocol):
    """Who knows how the device fares."""

    def read(self) -> DeviceState:
        """Return the state now; cheap beside a run."""
        ...

    def contention(self) -> str:
        """Return "none", "unknown", or what else uses the device, such as process ids."""
        ...

"""What timing one variant against the reference found, at one batch size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantcheck.core.fingerprint import digest

if TYPE_CHECKING:
    from pytest_quantcheck.core.latency import LatencySamples
    from pytest_quantcheck.core.variant import Variant
    from pytest_quantcheck.measure.latency.protocols import MemoryUse, Shape
    from pytest_quantcheck.workloads.latency import Latency


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedSide:
    """One of the two variants."""

    variant: Variant
    memory: MemoryUse


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TimedPair:
    """Reference and variant timed against each other."""

    workload: Latency
    shape: Shape
    """What both were served with."""
    reference: TimedSide
    variant: TimedSide
    samples: LatencySamples
    measured_at: str
    """UTC, ISO 8601."""

    @property
    def prompt_fingerprint(self) -> str:
        """Digest of the token ids of every row."""
        return digest([[*row] for row in self.shape.prompts])

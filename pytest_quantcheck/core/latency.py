"""What a clock says of request batches, one run and many."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

MIN_PAIRS = 12
"""Pairs of runs that a latency ratio takes."""
MIN_LOADS = 8
"""Blocks of loads that it takes."""

_HOST_BOUND = 1.2
_MOST_LOOKS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTimes:
    """One batch of requests, from the prompts to the last token of each."""

    ttft_seconds: float
    """From the start to the first new token (prefill)."""
    e2e_seconds: float
    """From the start to the last new token."""
    device_seconds: float | None
    """What the device needs for the same batch once nothing waits for the host, by CUDA events
    around CUDA graphs of the same passes. None where that is not known: without CUDA, and where
    layers themselves wait for the host."""
    new_tokens: int
    """Tokens that each request got, at least 1."""
    batch_size: int
    """Requests."""

    @property
    def tpot_seconds(self) -> float | None:
        """Time per output token after the first; None where there is no other.

        Examples
        --------
        >>> run = RunTimes(
        ...     ttft_seconds=0.2, e2e_seconds=1.0, device_seconds=None, new_tokens=5, batch_size=1
        ... )
        >>> run.tpot_seconds, run.tokens_per_second
        (0.2, 5.0)
        """
        if self.new_tokens == 1:
            return None
        return (self.e2e_seconds - self.ttft_seconds) / (self.new_tokens - 1)

    @property
    def tokens_per_second(self) -> float:
        """New tokens of all requests, over the whole time."""
        return self.batch_size * self.new_tokens / self.e2e_seconds


class Schedule(Enum):
    """How runs of reference and variant are mixed."""

    PAIRS = "pairs"
    """Both are in memory; in each block one run of either, in random order."""
    LOADS = "loads"
    """They do not fit together; in each block one load of either with several runs, in random
    order."""


class Stop(Enum):
    """What ended the timing."""

    DECIDED = "decided"
    """Every budget."""
    REPEATS = "repeats"
    """As many blocks were timed as planned."""
    SECONDS = "seconds"
    """The time limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """How one variant was served."""

    mode: str
    """`eager` or `compiled`: what really ran."""
    fallback: str
    """Why that is not the mode asked for; empty if it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencySamples:
    """Runs of reference and variant on one shape, in the order of time, without the warm-up."""

    schedule: Schedule
    blocks: tuple[int, ...]
    """(n,) the pair, or block of loads, that each run belongs to, counted from 0, ascending."""
    is_variant: tuple[bool, ...]
    """(n,) whether the run was the variant's, not the reference's."""
    runs: tuple[RunTimes, ...]
    """(n,) what was timed."""
    n_planned: int
    """Blocks at most."""
    looks: tuple[int, ...]
    """After how many blocks it was asked whether all is decided, ascending."""
    stopped: Stop | None
    """None while more is to come."""
    seed: int
    """Of the order of runs."""
    reference: Served
    variant: Served
    n_discarded: int = 0
    """Blocks timed again because the device was throttled."""
    throttled: tuple[int, ...] = ()
    """Blocks that count though the device was throttled again and again."""
    reasons: tuple[str, ...] = ()
    """Why it was throttled, as the driver names it."""
    sm_clock_mhz: tuple[int, int] | None = None
    """Slowest and fastest at the end of a block; None where it cannot be read."""
    temperature_celsius: tuple[int, int] | None = None
    """Of the device, lowest and highest; None where it cannot be read."""
    contention: str = "unknown"
    """`none`, `unknown`, or what else used the device."""
    seconds: float = 0.0
    """Wall-clock time of all of it, warm-up too, without loading."""

    @property
    def n(self) -> int:
        """Blocks."""
        return self.blocks[-1] + 1 if self.blocks else 0

    @property
    def is_final(self) -> bool:
        """Whether nothing more would have come."""
        return self.stopped in {Stop.REPEATS, Stop.SECONDS} or self.n >= self.n_planned

    def of(self, *, variant: bool) -> tuple[RunTimes, ...]:
        """Return the runs of the variant, or of the reference, in the order of time."""
        pairs = zip(self.runs, self.is_variant, strict=True)
        return tuple(run for run, is_variant in pairs if is_variant is variant)

    def host_bound_share(self, *, variant: bool) -> float | None:
        """Return in which part of the runs the host set the pace.

        Returns
        -------
        float or None
            Runs whose wall-clock time exceeds the device's own by a fifth; None where the device
            keeps no time.
        """
        found = [
            run.e2e_seconds > _HOST_BOUND * run.device_seconds
            for run in self.of(variant=variant)
            if run.device_seconds is not None
        ]
        return sum(found) / len(found) if found else None


def planned_looks(n_planned: int, *, first: int) -> tuple[int, ...]:
    """Return after how many blocks it is asked whether all is decided, ascending.

    Parameters
    ----------
    n_planned : int
        Blocks at most; the last look.
    first : int
        Nothing is decided before as many.

    Examples
    --------
    >>> planned_looks(60, first=12)
    (12, 18, 24, 30, 36, 42, 48, 54, 60)
    >>> planned_looks(10, first=8)
    (8, 9, 10)
    """
    ends = (math.ceil(part * n_planned / _MOST_LOOKS) for part in range(1, _MOST_LOOKS))
    return (*sorted({end for end in ends if first <= end < n_planned}), n_planned)

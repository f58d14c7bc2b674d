"""Clocks for what runs on a device beside the host."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch

from pytest_quantcheck.core.latency import RunTimes

if TYPE_CHECKING:
    from collections.abc import Callable

_REPLAYS = 3
"""Of a graph when it is timed; the fastest counts."""


class Stopwatch:
    """Stamps of one request batch, each taken when the device has nothing left to do.

    Parameters
    ----------
    device : str
        What is waited for.
    clock : callable, optional
        Seconds that only go forward.
    """

    def __init__(self, device: str, clock: Callable[[], float] = time.perf_counter) -> None:
        self._device = device
        self._clock = clock
        self._stamps: list[float] = []

    def stamp(self) -> None:
        """Wait for the device and read the clock: at the start, the first token, the end."""
        synchronize(self._device)
        self._stamps.append(self._clock())

    def times(self, *, new_tokens: int, batch_size: int, device_seconds: float | None) -> RunTimes:
        """Return what the three stamps say."""
        start, first, end = self._stamps
        return RunTimes(
            ttft_seconds=first - start,
            e2e_seconds=end - start,
            device_seconds=device_seconds,
            new_tokens=new_tokens,
            batch_size=batch_size,
        )


def synchronize(device: str) -> None:
    """Wait until a CUDA device has done all it was given; a CPU has done it already."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def replay_seconds(replay: Callable[[], None], device: str) -> float:
    """Return by CUDA events how long one replay of a graph takes.

    Notes
    -----
    A graph is one launch, so that the device never waits for the host: this is what the device
    needs. Events around passes that are launched one by one say nothing of the kind, as they
    count the gaps in which it waits.
    """
    with torch.cuda.device(device):
        best = float("inf")
        for _ in range(_REPLAYS):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            start.record()
            replay()
            end.record()
            end.synchronize()
            best = min(best, start.elapsed_time(end) / 1e3)
    return best

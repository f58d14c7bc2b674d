"""A server that is made slower by a known share: extra matrix products after each request batch."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_quantcheck.measure.latency.serving import ModelServer, Way

_SIZES = {"cuda": 1024, "cpu": 96}
_PROBED = 64
"""Products that one product's time is found by."""
_ROUNDS = 3


class ExtraWork:
    """Matrix products on a device, as many as asked for."""

    def __init__(self, device: str, dtype: torch.dtype) -> None:
        size = _SIZES[torch.device(device).type]
        self._factor = torch.zeros(size, size, device=device, dtype=dtype)
        self._found = torch.empty_like(self._factor)
        self.products = 0

    @torch.inference_mode()
    def do(self) -> None:
        """Compute them; nothing waits for the device."""
        for _ in range(self.products):
            torch.mm(self._factor, self._factor, out=self._found)


class SlowedWay:
    """Serves as another way does, and does extra work before the last stamp of the clock."""

    def __init__(self, way: Way, work: ExtraWork) -> None:
        self._way = way
        self._work = work
        self.mode = way.mode

    def serve(self, first_token: Callable[[], None]) -> torch.Tensor:
        """Return the new tokens."""
        tokens = self._way.serve(first_token)
        self._work.do()
        return tokens

    def cache_bytes(self) -> int:
        """Return what the way keeps."""
        return self._way.cache_bytes()

    def close(self) -> None:
        """Close the way."""
        self._way.close()


def slow_down(server: ModelServer, work: ExtraWork) -> None:
    """Let a server do some work within each run."""
    assert server._way is not None  # noqa: S101, SLF001 - open
    server._way = SlowedWay(server._way, work)  # noqa: SLF001 - what the benchmark is about


def calibrate(server: ModelServer, work: ExtraWork, *, excess: float, runs: int) -> float:
    """Set how much work makes a server slower by a share, and return the share found then.

    Runs with and without alternate, so that a drift of the clock counts on neither side.
    """
    work.products = _PROBED
    for _ in range(_ROUNDS):
        share = _measured(server, work, runs)
        wanted = round(work.products * excess / share) if share > 0 else 2 * work.products
        work.products = max(1, wanted)
    return _measured(server, work, 2 * runs)


def _measured(server: ModelServer, work: ExtraWork, runs: int) -> float:
    products = work.products
    plain, slowed = [], []
    for _ in range(runs):
        work.products = 0
        plain.append(server.run().e2e_seconds)
        work.products = products
        slowed.append(server.run().e2e_seconds)
    return statistics.median(slowed) / statistics.median(plain) - 1

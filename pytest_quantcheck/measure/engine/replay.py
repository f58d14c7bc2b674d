"""A step of fixed shapes as a CUDA graph: one launch instead of a thousand."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Replay:
    """A captured function of two vectors of integers.

    Parameters
    ----------
    step : callable
        Called with (r,) tokens and (r,) positions; returns logits. Equal shapes launch equal
        kernels, and nothing in it waits for the host.
    like : (r,) int64
        Of the vectors' shape and device.
    """

    def __init__(
        self, step: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], like: torch.Tensor
    ) -> None:
        self._inputs = torch.zeros_like(like), torch.zeros_like(like)
        self._step = step
        self._replay = graphed(self._run, like.device)

    def __call__(self, tokens: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Return the logits of one step; the next call overwrites them."""
        for held, given in zip(self._inputs, (tokens, positions), strict=True):
            held.copy_(given)
        self._replay()
        return self._logits

    def _run(self) -> None:
        self._logits = self._step(*self._inputs)


def graphed(work: Callable[[], None], device: torch.device | str) -> Callable[[], None]:
    """Return what does `work` again in one launch.

    Parameters
    ----------
    work : callable
        Reads and writes tensors that stay where they are. It is done twice before it is captured:
        libraries choose kernels and reserve memory.
    device : device
        Where it computes.

    Raises
    ------
    RuntimeError
        Something in it waits for the host.
    """
    with torch.cuda.device(device):
        # On the stream of everything else: a new one would leave workspaces of its own behind.
        work()
        with _no_waiting():
            work()
        graph = torch.cuda.CUDAGraph()
        # A capture that fails leaves its own stream as the current one.
        with torch.cuda.stream(torch.cuda.current_stream()), torch.cuda.graph(graph):
            work()
    return graph.replay


@contextmanager
def _no_waiting() -> Iterator[None]:
    """Raise RuntimeError where something waits for the device, before a capture is spoilt."""
    own = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(own)


def captured(
    step: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], like: torch.Tensor
) -> Replay | None:
    """Return the step as a graph, or None where something in it cannot be captured."""
    try:
        return Replay(step, like)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:  # a layer waits for the host, as experts that are chosen on it do
        return None

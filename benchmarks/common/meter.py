"""Seconds, memory and work of a run, counted the same way for both sides."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

_MATMUL_SIZE = 8192
_MATMUL_REPEATS = 12
_ATTENTION = ("flash", "fmha", "attention", "sdpa")
_MATMUL = ("gemm", "product_kernel", "xmma", "cutlass", "nvjet", "matmul", "cublas", "sm90_")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One timed run."""

    seconds: float
    peak_gib: float | None
    """Most memory of tensors above what was allocated before; None without CUDA."""
    forwarded: int
    """Tokens that went through the body."""
    head_rows: int
    """Positions that went through the head."""
    values: NDArray[np.float64] = field(repr=False)


class Meter:
    """Times runs on one model.

    Parameters
    ----------
    model : PreTrainedModel
        Its embeddings and head are watched.
    """

    def __init__(self, model: Any) -> None:  # noqa: ANN401
        self._is_on_cuda = model.device.type == "cuda"
        self._counts = {"forwarded": 0, "head_rows": 0}
        self._hooks = [
            model.get_input_embeddings().register_forward_pre_hook(self._count("forwarded", 0)),
            model.get_output_embeddings().register_forward_pre_hook(self._count("head_rows", 1)),
        ]

    def run(self, work: Callable[[], NDArray[np.float64]]) -> Run:
        """Return how long a piece of work takes, and what it does."""
        self._counts.update(forwarded=0, head_rows=0)
        before = self._reset_memory()
        started = time.perf_counter()
        values = work()
        self._wait()
        return Run(
            seconds=time.perf_counter() - started,
            peak_gib=(torch.cuda.max_memory_allocated() - before) / 2**30
            if self._is_on_cuda
            else None,
            values=values,
            **self._counts,
        )

    def close(self) -> None:
        """Stop watching the model."""
        for hook in self._hooks:
            hook.remove()

    def _count(self, name: str, inner: int) -> Callable[..., None]:
        """Return a hook that counts the inputs of a layer, each of so many inner dimensions."""

        def count(_: object, inputs: tuple[torch.Tensor, ...]) -> None:
            shape = inputs[0].shape
            self._counts[name] += shape[: len(shape) - inner].numel()

        return count

    def _reset_memory(self) -> int:
        if not self._is_on_cuda:
            return 0
        self._wait()
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()

    def _wait(self) -> None:
        if self._is_on_cuda:
            torch.cuda.synchronize()


def matmul_peak(device: str, dtype: torch.dtype) -> float | None:
    """Return the most operations a second of a large square matrix product here; None on a CPU."""
    if not device.startswith("cuda"):
        return None
    size = (_MATMUL_SIZE, _MATMUL_SIZE)
    if dtype == torch.int8:
        left, right = (torch.randint(-9, 9, size, device=device, dtype=dtype) for _ in range(2))
        multiply = torch._int_mm  # noqa: SLF001 - the only way to it
        right = right.t()
    else:
        left, right = (torch.randn(size, device=device, dtype=dtype) for _ in range(2))
        multiply = torch.matmul
    best = float("inf")
    for _ in range(_MATMUL_REPEATS):
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        multiply(left, right)
        stop.record()
        stop.synchronize()
        best = min(best, start.elapsed_time(stop) / 1e3)
    return float(2 * _MATMUL_SIZE**3 / best)


@dataclass(frozen=True, kw_only=True)
class Kernels:
    """What the device did during one run."""

    busy: float
    """Share of the run in which it computed."""
    shares: dict[str, float]
    """Of that time: matrix products, attention, everything else."""
    longest: list[tuple[str, float]]
    """Kernels that took most of it, and their shares."""


def profile(work: Callable[[], object]) -> Kernels:
    """Return what the device does during a piece of work."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiler:
        torch.cuda.synchronize()
        started = time.perf_counter()
        work()
        torch.cuda.synchronize()
        seconds = time.perf_counter() - started
    by_name: dict[str, float] = defaultdict(float)
    for event in profiler.profiler.kineto_results.events():
        if event.device_type() == torch.autograd.DeviceType.CUDA:
            by_name[event.name()] += event.duration_ns() / 1e9
    total = sum(by_name.values()) or float("nan")
    by_kind: dict[str, float] = defaultdict(float)
    for name, spent in by_name.items():
        by_kind[_kind(name)] += spent / total
    longest = sorted(by_name.items(), key=lambda pair: -pair[1])[:6]
    return Kernels(
        busy=total / seconds,
        shares={name: round(share, 3) for name, share in by_kind.items()},
        longest=[(name[:120], round(spent / total, 3)) for name, spent in longest],
    )


def _kind(kernel: str) -> str:
    name = kernel.lower()
    if any(word in name for word in _ATTENTION):
        return "attention"
    return "matmul" if any(word in name for word in _MATMUL) else "other"

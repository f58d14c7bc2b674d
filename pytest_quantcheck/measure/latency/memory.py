"""What a variant takes: its weights, the peaks of prefill and decoding, keys and values."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import torch

from pytest_quantcheck.core.memory import MemoryUse
from pytest_quantcheck.measure.engine.spread import n_devices
from pytest_quantcheck.measure.latency.compiled import Compiled
from pytest_quantcheck.measure.latency.serving import check_shape, chosen_way, in_memory, made_way
from pytest_quantcheck.measure.latency.tensors import resident_bytes

if TYPE_CHECKING:
    from pytest_quantcheck.measure.latency.protocols import Shape
    from pytest_quantcheck.measure.latency.serving import ServedModel


def memory_use(
    served: ServedModel, shape: Shape, *, weight_bytes: int, disk_bytes: int | None
) -> MemoryUse:
    """Return what a model takes while it serves a shape.

    Parameters
    ----------
    served : ServedModel
        The model.
    shape : Shape
        What is served.
    weight_bytes : int
        Of its weights as stored at the declared precision.
    disk_bytes : int, optional
        Of the files it was loaded from.

    Raises
    ------
    UsageError, MeasurementError
        As for `open_server`.

    Notes
    -----
    A peak is the most bytes that tensors asked of torch's allocator, less what was held for
    anything but this model: so neither other variants in memory nor the workspaces of libraries
    count, and it is the same in every run.
    """
    check_shape(served, shape)

    # The first request also loads kernels and makes workspaces, which then stay.
    mode, cache_bytes = _first_request(served, shape)
    prefill = decode = None
    if served.device.startswith("cuda") and n_devices(served.model) == 1:
        with torch.cuda.device(served.device):
            prefill, decode = in_memory(lambda: _peaks(served, shape, mode), shape, served.device)
    return MemoryUse(
        weight_bytes=weight_bytes,
        kv_cache_bytes=cache_bytes,
        peak_prefill_bytes=prefill,
        peak_decode_bytes=decode,
        disk_bytes=disk_bytes,
    )


def _first_request(served: ServedModel, shape: Shape) -> tuple[str, int]:
    """Return the mode that is possible, and what is kept of the sequences in it."""
    way, _ = chosen_way(served, shape)
    cache_bytes = in_memory(way.cache_bytes, shape, served.device)
    way.close()
    return way.mode, cache_bytes


def _peaks(served: ServedModel, shape: Shape, mode: str) -> tuple[int, int]:
    """Return the most bytes until the first token, and from there to the last."""
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.synchronize()
    others = _requested_bytes("current") - resident_bytes(served.model, served.device)
    torch.cuda.reset_peak_memory_stats()
    way = made_way(served, shape, mode)
    peaks: list[int] = []

    def read_peak() -> None:
        torch.cuda.synchronize()
        peaks.append(_requested_bytes("peak") - others)
        torch.cuda.reset_peak_memory_stats()

    way.serve(read_peak)
    read_peak()
    way.close()
    prefill, decode = peaks
    # What graphs write to is theirs from the capture on, and no longer counted afterwards.
    return prefill, max(prefill, decode) if mode == Compiled.mode else decode


def _requested_bytes(moment: str) -> int:
    """Return what tensors ask of torch's allocator, `current` or `peak`.

    What it allocates for them depends by up to a MiB each on the gaps that are free.
    """
    stats: dict[str, int] = torch.cuda.memory_stats()
    requested = stats.get(f"requested_bytes.all.{moment}")
    return requested or stats[f"allocated_bytes.all.{moment}"]

"""What serving costs at least: bytes that must be read, and operations that must be done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from pytest_quantcheck.measure.latency.tensors import resident_bytes

if TYPE_CHECKING:
    from common.roofline import Peaks

    from pytest_quantcheck.measure.latency.protocols import Shape

_COPIED_BYTES = 2**31
_COPIES = 8


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What the device does at most, measured in this run."""

    peaks: Peaks
    bandwidth: float | None
    """Bytes read and written in a second by a large copy; None on a CPU."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Least seconds of one request batch."""

    ttft_seconds: float
    tpot_seconds: float


def copy_bandwidth(device: str) -> float | None:
    """Return the most bytes a second that a large copy reads and writes; None on a CPU."""
    if not device.startswith("cuda"):
        return None
    source = torch.empty(_COPIED_BYTES, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    best = float("inf")
    for _ in range(_COPIES):
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        target.copy_(source)
        stop.record()
        stop.synchronize()
        best = min(best, start.elapsed_time(stop) / 1e3)
    return 2 * _COPIED_BYTES / best


def limits_of(model: Any, shape: Shape, machine: Machine, variant: str) -> Limits | None:  # noqa: ANN401 - partly untyped
    """Return the least seconds of a shape: by bandwidth or by operations, whichever is more.

    Operations of int8 layers are done at the peak of int8 products, all others at that of the
    compute dtype. A step reads every weight but the embeddings, and all keys and values, which have
    16 bits.
    """
    peaks, config = machine.peaks, model.config
    if not (machine.bandwidth and peaks.compute):
        return None
    body_peak = peaks.int8 if variant == "int8" and peaks.int8 else peaks.compute
    head_width = getattr(config, "head_dim", None) or (
        config.hidden_size // config.num_attention_heads
    )
    keys = config.num_key_value_heads * head_width
    queries = config.num_attention_heads * head_width
    layer = config.hidden_size * (2 * queries + 2 * keys + 3 * config.intermediate_size)
    head = config.hidden_size * config.vocab_size
    rows, length = shape.batch_size, len(shape.prompts[0])
    cache = 4 * keys * config.num_hidden_layers * rows * (length + shape.new_tokens / 2)
    embeddings = model.get_input_embeddings().weight
    is_tied = model.get_output_embeddings().weight is embeddings
    weights = resident_bytes(model, str(model.device)) - (0 if is_tied else embeddings.nbytes)

    def seconds(tokens: float, attended: float) -> float:
        body = 2 * layer * config.num_hidden_layers * tokens / body_peak
        attention = 4 * queries * config.num_hidden_layers * attended / peaks.compute
        return float(body + attention + 2 * head * rows / peaks.compute)

    prefill = seconds(rows * length, rows * length * (length + 1) / 2)
    step = seconds(rows, rows * (length + shape.new_tokens / 2))
    return Limits(
        ttft_seconds=max(prefill, weights / machine.bandwidth),
        tpot_seconds=max(step, (weights + cache) / machine.bandwidth),
    )

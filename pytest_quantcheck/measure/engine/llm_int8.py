"""LLM.int8 on several sequences at once, each as if it were alone."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import MethodType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike
    from transformers import PreTrainedModel

_BATCH_DIMENSIONS = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segments:
    """Which rows of a forward pass belong together, and which of them see which."""

    rows: torch.Tensor
    """(t,) int64: the segment of each row of the inputs."""
    parents: torch.Tensor
    """(s,) int64: the segment that each one continues; its own number where it continues none."""
    depth: int
    """Most ancestors that a segment has."""


_PACK: ContextVar[Segments | None] = ContextVar("_PACK", default=None)


def segments_on(device: str, rows: ArrayLike, parents: Sequence[int]) -> Segments:
    """Return the segments of a pack, their tensors on `device`.

    Parameters
    ----------
    device : str
        Where the model is.
    rows : (t,) int64
        The segment of each row.
    parents : sequence of int
        For each segment the one it continues, which has a smaller number; -1 where there is none.
    """
    depths: list[int] = []
    for parent in parents:
        depths.append(depths[parent] + 1 if parent >= 0 else 0)
    above = np.asarray(parents, np.int64)
    own = np.arange(len(above))
    return Segments(
        rows=torch.from_numpy(np.asarray(rows, np.int64)).to(device, non_blocking=True),
        parents=torch.from_numpy(np.where(above < 0, own, above)).to(device, non_blocking=True),
        depth=max(depths, default=0),
    )


@contextmanager
def packed(segments: Segments) -> Iterator[None]:
    """Tell the LLM.int8 layers of any model what the rows of a forward pass are.

    Layers whose inputs have another number of rows are not concerned.
    """
    token = _PACK.set(segments)
    try:
        yield
    finally:
        _PACK.reset(token)


def separate_sequences(model: PreTrainedModel) -> None:
    """Make every LLM.int8 layer of `model` treat sequences separately, in batches and in packs.

    A column of the inputs in which any row of the batch holds an outlier is multiplied in 16
    bits, for all rows (Dettmers et al., 2022, arXiv:2208.07339, section 3). So the score of a
    sequence depends on the sequences beside it: by 6 nats for one choice of a 135M model. Here
    the outlier columns of a sequence are those of its own rows, as when it is scored alone; the
    arithmetic is that of bitsandbytes, by its own kernels. In a pack (see `packed`) they are those
    of a segment's own rows and of the segments it continues.
    """
    from bitsandbytes.nn.modules import Linear8bitLt

    for module in model.modules():
        if isinstance(module, Linear8bitLt):
            module.__dict__["forward"] = MethodType(_forward, module)


def _forward(layer: Any, inputs: torch.Tensor) -> torch.Tensor:  # noqa: ANN401 - bitsandbytes has no types
    """Return the layer's outputs; a single sequence goes the usual way."""
    segments = _segments(inputs) if layer.state.threshold else None
    if segments is None:
        usual: torch.Tensor = type(layer).forward(layer, inputs)
        return usual
    if layer.weight.CB is not None:
        layer.init_8bit_state()
    rows = inputs.reshape(-1, inputs.shape[-1])  # (t, k)
    return _multiply(layer, rows, segments).view(*inputs.shape[:-1], -1)


def _segments(inputs: torch.Tensor) -> Segments | None:
    """Return which rows belong together; None where all do."""
    pack = _PACK.get()
    if pack is not None and inputs.shape[:-1].numel() == len(pack.rows):
        return pack if len(pack.parents) > 1 else None
    if inputs.ndim != _BATCH_DIMENSIONS or len(inputs) == 1:
        return None
    numbers = torch.arange(len(inputs), device=inputs.device)
    rows = numbers[:, None].expand(inputs.shape[:2]).reshape(-1)
    return Segments(rows=rows, parents=numbers, depth=0)


def _multiply(layer: Any, rows: torch.Tensor, segments: Segments) -> torch.Tensor:  # noqa: ANN401 - bitsandbytes has no types
    """Return (t, n): outlier columns of each segment in 16 bits, the rest in 8, and the bias."""
    threshold = layer.state.threshold
    halves = rows.to(torch.float16).contiguous()
    low, high = halves.aminmax(dim=0)
    # The one wait for the device. A column with a NaN is looked at more closely below.
    columns = ((low > -threshold) & (high < threshold)).logical_not().nonzero()[:, 0]  # (c,)
    if not len(columns):
        return _in_8_bits(layer, *_quantized(halves), rows.dtype)
    picked = halves[:, columns]
    outliers = picked.abs() >= threshold
    own = _own_columns(outliers, segments)[segments.rows]  # (t, c)
    codes, scales = _quantized(halves.index_copy(1, columns, picked.masked_fill(outliers, 0)))
    codes.index_copy_(1, columns, codes[:, columns].masked_fill(own, 0))
    kept = rows[:, columns].masked_fill(~own, 0)
    return _in_8_bits(layer, codes, scales, rows.dtype).addmm(
        kept, _weight(layer, columns, rows.dtype)
    )


def _own_columns(outliers: torch.Tensor, segments: Segments) -> torch.Tensor:
    """Return (s, c) bool: where rows of a segment or of one it continues hold an outlier."""
    shape = (len(segments.parents), outliers.shape[1])
    counts = torch.zeros(shape, dtype=torch.int32, device=outliers.device)
    own = counts.index_add_(0, segments.rows, outliers.to(torch.int32)) > 0
    for _ in range(segments.depth):
        own = own | own[segments.parents]
    return own


def _quantized(halves: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return codes and the scale of each row."""
    quantize = torch.ops.bitsandbytes.int8_vectorwise_quant.default
    codes, scales, _ = quantize(halves, threshold=0.0)
    return codes, scales


def _in_8_bits(
    layer: Any,  # noqa: ANN401 - bitsandbytes has no types
    codes: torch.Tensor,
    scales: torch.Tensor,
    dtype: torch.dtype,
) -> torch.Tensor:
    """Return the product of the codes with those of the weight, and the bias."""
    bias = layer.bias if layer.bias is None else layer.bias.to(dtype)
    product: torch.Tensor = torch.ops.bitsandbytes.int8_scaled_mm.default(
        codes, layer.state.CB, scales, layer.state.SCB, bias=bias, dtype=dtype
    )
    return product


def _weight(layer: Any, columns: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:  # noqa: ANN401
    """Return these columns of the weight, dequantized and transposed."""
    chosen = layer.state.CB[:, columns].contiguous()
    weight: torch.Tensor = torch.ops.bitsandbytes.int8_vectorwise_dequant.default(
        chosen, layer.state.SCB
    )
    return weight.to(dtype).t()

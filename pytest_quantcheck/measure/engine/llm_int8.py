"""LLM.int8 on several sequences at once, each as if it were alone."""

from __future__ import annotations

import weakref
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
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
    starts: torch.Tensor | None = None
    """(s + 1,) int64: first row of each segment of a pack, and the end. None for a batch, where a
    row also sees the outliers of later rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Codes:
    """Inputs in 8 bits, but for the outlier columns."""

    codes: torch.Tensor
    """(t, k) int8, zero in the outlier columns of the row's segment."""
    scales: torch.Tensor
    """(t,) float32"""
    columns: torch.Tensor
    """(c,) int64: those with an outlier anywhere."""
    kept: torch.Tensor
    """(t, c): the inputs in these columns where they are the segment's own, else zero."""


class _Pack:
    """A pack in a forward pass, and the codes of the inputs that a layer took last.

    Query, key and value of an attention take the same inputs, as do the first two products of
    many MLPs: they are quantized once.
    """

    def __init__(self, segments: Segments) -> None:
        self.segments = segments
        self._key: tuple[str, float] | None = None
        self._inputs: weakref.ref[torch.Tensor] | None = None
        self._codes: _Codes | None = None

    def codes(self, inputs: torch.Tensor, parent: str, threshold: float) -> _Codes:
        """Return the codes of inputs, which layers of one parent may have in common."""
        known = self._inputs and self._inputs()
        if self._codes is None or known is not inputs or self._key != (parent, threshold):
            self._codes = None  # its memory is free for those that come
            self._codes = _quantize(inputs, self.segments, threshold)
            self._key, self._inputs = (parent, threshold), weakref.ref(inputs)
        return self._codes


_PACK: ContextVar[_Pack | None] = ContextVar("_PACK", default=None)


def segments_on(device: str, rows: ArrayLike, parents: Sequence[int]) -> Segments:
    """Return the segments of a pack, their tensors on `device`.

    Parameters
    ----------
    device : str
        Where the model is.
    rows : (t,) int64
        The segment of each row, ascending.
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
        starts=torch.from_numpy(np.searchsorted(rows, np.arange(len(above) + 1))).to(
            device, non_blocking=True
        ),
    )


@contextmanager
def packed(segments: Segments) -> Iterator[None]:
    """Tell the LLM.int8 layers of any model what the rows of a forward pass are.

    Layers whose inputs have another number of rows are not concerned.
    """
    token = _PACK.set(_Pack(segments))
    try:
        yield
    finally:
        _PACK.reset(token)


def is_llm_int8(model: PreTrainedModel) -> bool:
    """Return whether any layer of `model` multiplies outlier columns in 16 bits."""
    states = (getattr(module, "state", None) for module in model.modules())
    return any(getattr(state, "threshold", 0.0) for state in states)


def separate_sequences(model: PreTrainedModel) -> None:
    """Make every LLM.int8 layer of `model` treat sequences separately, in batches and in packs.

    A column of the inputs in which any row of the batch holds an outlier is multiplied in 16
    bits, for all rows (Dettmers et al., 2022, arXiv:2208.07339, section 3). So the score of a
    sequence depends on the sequences beside it: by 6 nats for one choice of a 135M model. Here
    the outlier columns of a sequence are those of its own rows, as when it is scored alone; the
    arithmetic is that of bitsandbytes, by its own kernels. In a pack (see `packed`) they are, for
    each row, those of the rows before it in its sequence, and its own: as if the sequence ended
    there. So a score depends neither on pack mates nor on where sequences part.
    """
    from bitsandbytes.nn.modules import Linear8bitLt

    for name, module in model.named_modules():
        if isinstance(module, Linear8bitLt):
            module.__dict__["forward"] = partial(_forward, module, name.rpartition(".")[0])


@contextmanager
def as_published(model: PreTrainedModel) -> Iterator[None]:
    """Let LLM.int8 layers multiply as bitsandbytes has them: what they cost elsewhere is timed."""
    own = {
        module: module.__dict__.pop("forward")
        for module in model.modules()
        if getattr(module.__dict__.get("forward"), "func", None) is _forward
    }
    try:
        yield
    finally:
        for module, forward in own.items():
            module.__dict__["forward"] = forward


def _forward(layer: Any, parent: str, inputs: torch.Tensor) -> torch.Tensor:  # noqa: ANN401 - bitsandbytes has no types
    """Return the layer's outputs; a single sequence goes the usual way."""
    pack = _pack(inputs) if layer.state.threshold else None
    if pack is None:
        usual: torch.Tensor = type(layer).forward(layer, inputs)
        return usual
    if layer.weight.CB is not None:
        layer.init_8bit_state()
    found = pack.codes(inputs, parent, layer.state.threshold)
    return _multiply(layer, found, inputs.dtype).view(*inputs.shape[:-1], -1)


def _pack(inputs: torch.Tensor) -> _Pack | None:
    """Return which rows belong together; None where all do."""
    pack = _PACK.get()
    if pack is not None and inputs.shape[:-1].numel() == len(pack.segments.rows):
        return pack
    if inputs.ndim != _BATCH_DIMENSIONS or len(inputs) == 1:
        return None
    numbers = torch.arange(len(inputs), device=inputs.device)
    rows = numbers[:, None].expand(inputs.shape[:2]).reshape(-1)
    return _Pack(Segments(rows=rows, parents=numbers, depth=0))


def _multiply(layer: Any, found: _Codes, dtype: torch.dtype) -> torch.Tensor:  # noqa: ANN401 - bitsandbytes has no types
    """Return (t, n): outlier columns of each segment in 16 bits, the rest in 8, and the bias."""
    bias = layer.bias if layer.bias is None else layer.bias.to(dtype)
    product: torch.Tensor = torch.ops.bitsandbytes.int8_scaled_mm.default(
        found.codes, layer.state.CB, found.scales, layer.state.SCB, bias=bias, dtype=dtype
    )
    if not len(found.columns):
        return product
    return product.addmm_(found.kept, _weight(layer, found.columns, dtype))


def _quantize(inputs: torch.Tensor, segments: Segments, threshold: float) -> _Codes:
    """Return the codes of inputs, which are left as they are."""
    rows = inputs.reshape(-1, inputs.shape[-1])  # (t, k)
    halves = rows.to(torch.float16).contiguous()
    low, high = halves.aminmax(dim=0)
    # The one wait for the device. A column with a NaN is looked at more closely below.
    columns = ((low > -threshold) & (high < threshold)).logical_not().nonzero()[:, 0]  # (c,)
    picked = halves[:, columns]
    outliers = picked.abs() >= threshold
    own = _own_columns(outliers, segments)  # (t, c)
    if torch.is_grad_enabled():
        halves = halves.clone()
    # These may be the inputs themselves: what is changed is put back, as bitsandbytes does.
    halves.index_copy_(1, columns, picked.masked_fill(outliers, 0))
    quantize = torch.ops.bitsandbytes.int8_vectorwise_quant.default
    codes, scales, _ = quantize(halves, threshold=0.0)
    halves.index_copy_(1, columns, picked)
    codes.index_copy_(1, columns, codes[:, columns].masked_fill_(own, 0))
    kept = rows[:, columns].masked_fill_(~own, 0)
    return _Codes(codes=codes, scales=scales, columns=columns, kept=kept)


def _own_columns(outliers: torch.Tensor, segments: Segments) -> torch.Tensor:
    """Return (t, c) bool: where a row that this one sees in its sequence holds an outlier."""
    if segments.starts is None:
        shape = (len(segments.parents), outliers.shape[1])
        counts = torch.zeros(shape, dtype=torch.int32, device=outliers.device)
        return (counts.index_add_(0, segments.rows, outliers.to(torch.int32)) > 0)[segments.rows]
    # A GPU sums along the last dimension in parallel, along the first one row after the other.
    sums = outliers.t().contiguous().cumsum(dim=1, dtype=torch.int32).t()
    before = torch.nn.functional.pad(sums, (0, 0, 1, 0))
    first = before[segments.starts]  # (s + 1, c) outliers before each segment
    whole = first[1:] > first[:-1]
    path = whole
    for _ in range(segments.depth):
        path = whole | path[segments.parents]
    has_parent = segments.parents != torch.arange(len(whole), device=whole.device)
    above = path[segments.parents] & has_parent[:, None]
    return (before[1:] > first[segments.rows]) | above[segments.rows]


def _weight(layer: Any, columns: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:  # noqa: ANN401
    """Return these columns of the weight, dequantized and transposed."""
    chosen = layer.state.CB[:, columns].contiguous()
    weight: torch.Tensor = torch.ops.bitsandbytes.int8_vectorwise_dequant.default(
        chosen, layer.state.SCB
    )
    return weight.to(dtype).t()

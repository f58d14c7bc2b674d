"""LLM.int8 in batches, each sequence as if it were alone."""

from __future__ import annotations

from types import MethodType
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_BATCH_DIMENSIONS = 3


def separate_sequences(model: PreTrainedModel) -> None:
    """Make every LLM.int8 layer of `model` treat the sequences of a batch separately.

    A column of the inputs in which any row of the batch holds an outlier is multiplied in 16
    bits, for all rows (Dettmers et al., 2022, arXiv:2208.07339, section 3). So the score of a
    sequence depends on the sequences beside it: by 6 nats for one choice of a 135M model. Here
    the outlier columns of a sequence are those of its own rows, as when it is scored alone; the
    arithmetic is that of bitsandbytes, by its own kernels.
    """
    from bitsandbytes.nn.modules import Linear8bitLt

    for module in model.modules():
        if isinstance(module, Linear8bitLt):
            module.__dict__["forward"] = MethodType(_forward, module)


def _forward(layer: Any, inputs: torch.Tensor) -> torch.Tensor:  # noqa: ANN401 - bitsandbytes has no types
    """Return the layer's outputs; a single sequence goes the usual way."""
    if inputs.ndim != _BATCH_DIMENSIONS or len(inputs) == 1 or not layer.state.threshold:
        usual: torch.Tensor = type(layer).forward(layer, inputs)
        return usual
    if layer.weight.CB is not None:
        layer.init_8bit_state()
    rows = inputs.reshape(-1, inputs.shape[-1])  # (b·t, k)
    halves = rows.to(torch.float16)
    outliers = halves.abs() >= layer.state.threshold
    own_columns = outliers.view(inputs.shape).any(dim=1, keepdim=True)  # (b, 1, k)
    outputs = _in_8_bits(layer, halves.masked_fill(outliers, 0), own_columns, rows)
    columns = own_columns.any(dim=0)[0].nonzero()[:, 0]  # those of any sequence
    if len(columns):
        kept = inputs[..., columns] * own_columns[..., columns]
        outputs = outputs.addmm(kept.flatten(0, 1), _columns(layer, columns, rows.dtype))
    return outputs.view(*inputs.shape[:2], -1)


def _in_8_bits(
    layer: Any,  # noqa: ANN401 - bitsandbytes has no types
    halves: torch.Tensor,
    own_columns: torch.Tensor,
    rows: torch.Tensor,
) -> torch.Tensor:
    """Return the product of everything outside each sequence's outlier columns, and the bias."""
    codes, scales, _ = torch.ops.bitsandbytes.int8_vectorwise_quant.default(halves, threshold=0.0)
    batch = codes.view(len(own_columns), -1, codes.shape[-1])
    batch.masked_fill_(own_columns, 0)
    bias = layer.bias if layer.bias is None else layer.bias.to(rows.dtype)
    product: torch.Tensor = torch.ops.bitsandbytes.int8_scaled_mm.default(
        codes, layer.state.CB, scales, layer.state.SCB, bias=bias, dtype=rows.dtype
    )
    return product


def _columns(layer: Any, columns: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:  # noqa: ANN401
    """Return these columns of the weight, dequantized and transposed."""
    packed = layer.state.CB[:, columns].contiguous()
    dequantize = torch.ops.bitsandbytes.int8_vectorwise_dequant.default
    weight: torch.Tensor = dequantize(packed, layer.state.SCB)
    return weight.to(dtype).t()

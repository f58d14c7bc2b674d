"""What a quantized model takes in memory: arithmetic on names and shapes, before it is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from transformers.pytorch_utils import Conv1D

from pytest_quantcheck.measure.engine.weights import end_tensors, matches

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from pytest_quantcheck.core.variant import Variant

_BLOCK, _NESTED_BLOCK = 64, 256
"""Weights that share a scale, and scales that share one of their own where they are packed too."""
_SCALE_BYTES = 4


def quantized_bytes(model: PreTrainedModel, variant: Variant, *, other_bytes: int) -> int:
    """Return about how many bytes a variant of bitsandbytes takes.

    Parameters
    ----------
    model : PreTrainedModel
        Names and shapes of the unquantized model; its tensors may be without memory.
    variant : Variant
        Precision, options, and the modules that are skipped.
    other_bytes : int
        Of an element that is not quantized.

    Notes
    -----
    Quantized are the weights of linear layers, except the head and what is skipped: not
    embeddings, nor experts fused into tensors of three dimensions.
    """
    outside = end_tensors(model)
    packed: dict[int, torch.Tensor] = {}
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear | Conv1D) and not matches(name, variant.skip_modules):
            weight = module.weight
            if id(weight) not in outside:
                packed[id(weight)] = weight
    elements = sum(weight.numel() for weight in packed.values())
    rest = model.num_parameters() - elements
    return sum(_bytes_of(weight, variant) for weight in packed.values()) + rest * other_bytes


def _bytes_of(weight: torch.Tensor, variant: Variant) -> int:
    """Return the bytes of one quantized weight and its scales."""
    options = dict(variant.options)
    if variant.precision == "int8":
        if options.get("llm_int8_has_fp16_weight"):
            return weight.numel() * torch.float16.itemsize
        return weight.numel() + weight.shape[0] * _SCALE_BYTES
    scales = -(-weight.numel() // _BLOCK)
    if options.get("bnb_4bit_use_double_quant"):
        return weight.numel() // 2 + scales + -(-scales // _NESTED_BLOCK) * _SCALE_BYTES
    return weight.numel() // 2 + scales * _SCALE_BYTES

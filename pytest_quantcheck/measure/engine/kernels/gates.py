"""Gated MLPs while packs are forwarded: SiLU and product by one kernel, the same to the bit."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from pytest_quantcheck.measure.engine.kernels.replaced import HALVES, Replaced, holds, proven

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_PARTS = ("gate_proj", "up_proj", "down_proj", "act_fn")
_BLOCK = 1024
_TRIAL_ROWS = 4


class FusedGates(Replaced):
    """The modules of a model that compute down(SiLU(gate(x)) * up(x)), found by trying each kind.

    Parameters
    ----------
    model : PreTrainedModel
        In evaluation mode, on a GPU.

    Notes
    -----
    Between the products torch reads and writes the widest activations of a model five times, this
    three times. SwiGLU: GLU Variants Improve Transformer (Shazeer, 2020), equation 6.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        generator = torch.Generator().manual_seed(0)
        found = proven(
            model, _kind, lambda module: holds(lambda: _is_same(module, model.dtype, generator))
        )
        super().__init__({module: partial(_fused, module) for module in found})


def gated(gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    """Return SiLU(gate) * up of contiguous tensors in 16 bits on a GPU, in the place of the first.

    Raises
    ------
    ImportError
        There is no Triton.
    """
    from pytest_quantcheck.measure.engine.kernels.triton_elementwise import gate_kernel

    count = gate.numel()
    with torch.cuda.device_of(gate):  # type: ignore[no-untyped-call]
        gate_kernel[(-(-count // _BLOCK),)](gate, up, gate, count, BLOCK=_BLOCK)
    return gate


def _kind(module: torch.nn.Module) -> object:
    """Return what modules that compute the same have in common: all but their weights' values."""
    parts = dict(module.named_children())
    if set(parts) != set(_PARTS):
        return None
    weights = [(one.shape, one.dtype, one.device) for one in module.parameters()]
    return type(module), tuple(type(parts[name]) for name in _PARTS), tuple(weights)


def _fused(module: Any, inputs: torch.Tensor) -> torch.Tensor:  # noqa: ANN401 - of any class
    return module.down_proj(_middle(module, inputs))  # type: ignore[no-any-return]


def _middle(module: Any, inputs: torch.Tensor) -> torch.Tensor:  # noqa: ANN401 - of any class
    """Return what goes down; nothing else of this width outlives it."""
    gate, up = module.gate_proj(inputs), module.up_proj(inputs)
    if gate.dtype in HALVES and gate.is_contiguous() and up.is_contiguous():
        return gated(gate, up)
    return module.act_fn(gate) * up  # type: ignore[no-any-return]


def _is_same(module: Any, dtype: torch.dtype, generator: torch.Generator) -> bool:  # noqa: ANN401
    """Return whether outputs are the same to the bit."""
    rows = torch.randn((1, _TRIAL_ROWS, module.gate_proj.in_features), generator=generator)
    inputs = rows.to(device=next(module.parameters()).device, dtype=dtype)
    return torch.equal(_fused(module, inputs), module(inputs))

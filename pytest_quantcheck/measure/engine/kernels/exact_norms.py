"""RMSNorm while packs are forwarded: three kernels for eight, the same to the bit."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from pytest_quantcheck.measure.engine.kernels.norms import epsilon_of, norm_kind, trial_rows
from pytest_quantcheck.measure.engine.kernels.replaced import Replaced, holds, proven

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_TILE = 4096
"""Elements that one part of a GPU computes."""
_TRIAL_ROWS = 1024


class ExactNorms(Replaced):
    """The modules of a model that round RMSNorm as LLaMA does, found by trying one of each kind.

    Parameters
    ----------
    model : PreTrainedModel
        In evaluation mode, on a GPU.

    Notes
    -----
    For LLM.int8, which amplifies what `FusedNorms` rounds differently. In which order a mean adds
    is torch's own, so torch takes it; the two steps before and the five behind are a kernel each.
    Root Mean Square Layer Normalization (Zhang and Sennrich, 2019), equation 4.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        generator = torch.Generator().manual_seed(0)
        found = proven(model, norm_kind, lambda one: holds(partial(_is_same, one, generator)))
        super().__init__({one: partial(_exact, one, epsilon_of(one)) for one in found})


def normed(inputs: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
    """Return inputs over their root mean square, rounded, times a weight for each feature.

    Parameters
    ----------
    inputs : (..., d) float16 or bfloat16
        Contiguous, on a GPU.
    weight : (d,), of the same dtype
    epsilon : float
        Added to the mean square.

    Raises
    ------
    ImportError
        There is no Triton.
    """
    from pytest_quantcheck.measure.engine.kernels.triton_elementwise import (
        norm_kernel,
        square_kernel,
    )

    width = len(weight)
    rows = inputs.numel() // width
    columns = 1 << (width - 1).bit_length()
    tile = {"ROWS": max(1, _TILE // columns), "COLUMNS": columns}
    grid = (-(-rows // tile["ROWS"]),)
    squares = torch.empty_like(inputs, dtype=torch.float32)
    found = torch.empty_like(inputs)
    with torch.cuda.device_of(inputs):  # type: ignore[no-untyped-call]
        square_kernel[grid](inputs, squares, rows, width, **tile)
        means = squares.mean(-1, keepdim=True)
        norm_kernel[grid](inputs, means, weight, found, rows, width, epsilon, **tile)
    return found


def _exact(
    module: Any,  # noqa: ANN401 - of any class
    epsilon: float,
    inputs: torch.Tensor,
) -> torch.Tensor:
    weight: torch.Tensor = module.weight
    if inputs.dtype != weight.dtype or not inputs.is_contiguous():
        usual: torch.Tensor = type(module).forward(module, inputs)
        return usual
    return normed(inputs, weight, epsilon)


def _is_same(module: Any, generator: torch.Generator) -> bool:  # noqa: ANN401 - of any class
    """Return whether outputs are the same to the bit, whatever the weight.

    A module's own may be all ones, which says nothing of when it is multiplied.
    """
    rows = trial_rows(_TRIAL_ROWS, len(module.weight), generator)
    inputs = rows.to(module.weight)
    weight = (torch.rand(rows.shape[1], generator=generator) + 0.5).to(module.weight)
    expected = torch.func.functional_call(module, {"weight": weight}, inputs)
    return torch.equal(normed(inputs, weight, epsilon_of(module)), expected)

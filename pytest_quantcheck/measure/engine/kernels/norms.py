"""RMSNorm by torch's own kernel while packs are forwarded, where that gives what a model gives."""

from __future__ import annotations

import inspect
import math
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from pytest_quantcheck.measure.engine.kernels.replaced import Replaced, proven

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_EPSILONS = ("variance_epsilon", "eps", "epsilon")
_PLAIN = (bool, int, float, str)
_SCALES = (1e-3, 1e-2, 1.0, 30.0)
"""Of the rows of a trial: the smallest ones show what is added to the mean square."""
_OFFSET = 0.5
"""Mean of the rows over their scale: what subtracts it is no RMSNorm."""
_MOST_UNITS = 1
"""In the last place: models round twice, before and after the weight, and the kernel once."""


class FusedNorms(Replaced):
    """The modules of a model that are RMSNorm, found by trying one of each kind.

    Parameters
    ----------
    model : PreTrainedModel
        In evaluation mode, on its device.

    Notes
    -----
    transformers computes RMSNorm in float32 by eight kernels, which take longer than the products
    between them where a model is small.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        generator = torch.Generator().manual_seed(0)
        found = proven(model, norm_kind, lambda module: _is_same(module, generator))
        super().__init__({one: partial(_fused, one, epsilon_of(one)) for one in found})


def _may_be_norm(module: torch.nn.Module) -> bool:
    """Return whether a module has one weight in 16 bits for each feature, and an epsilon."""
    parameters = dict(module.named_parameters())
    weight = parameters.get("weight")
    return (
        len(parameters) == 1
        and weight is not None
        and weight.ndim == 1
        and weight.dtype in {torch.float16, torch.bfloat16}
        and not math.isnan(epsilon_of(module))
        and len(inspect.signature(module.forward).parameters) == 1
    )


def norm_kind(module: torch.nn.Module) -> object:
    """Return what modules that compute the same have in common: all but the weight's values."""
    if not _may_be_norm(module):
        return None
    weight: torch.Tensor = module.weight  # type: ignore[assignment]  # looked at before
    settings = {name: one for name, one in vars(module).items() if isinstance(one, _PLAIN)}
    return type(module), weight.shape, weight.dtype, weight.device, tuple(sorted(settings.items()))


def epsilon_of(module: Any) -> float:  # noqa: ANN401 - of any class
    """Return what is added to the mean square; NaN where nothing says it."""
    found = (getattr(module, name, None) for name in _EPSILONS)
    return next((one for one in found if isinstance(one, float)), math.nan)


def _fused(
    module: Any,  # noqa: ANN401 - of any class
    epsilon: float,
    inputs: torch.Tensor,
) -> torch.Tensor:
    weight: torch.Tensor = module.weight
    if inputs.dtype != weight.dtype:
        usual: torch.Tensor = type(module).forward(module, inputs)
        return usual
    return torch.nn.functional.rms_norm(inputs, weight.shape, weight, epsilon)


def _is_same(module: Any, generator: torch.Generator) -> bool:  # noqa: ANN401 - of any class
    """Return whether outputs differ by no more than a unit in the last place."""
    weight: torch.Tensor = module.weight
    inputs = trial_rows(len(_SCALES), len(weight), generator).to(weight)
    expected = module(inputs)
    if expected.shape != inputs.shape or expected.dtype != inputs.dtype:
        return False
    found = _fused(module, epsilon_of(module), inputs)
    return bool(((_units(found) - _units(expected)).abs() <= _MOST_UNITS).all())


def trial_rows(rows: int, features: int, generator: torch.Generator) -> torch.Tensor:
    """Return random rows of all magnitudes in turn, (rows, features) float32."""
    scales = torch.tensor(_SCALES).repeat(rows // len(_SCALES))
    return (torch.randn((rows, features), generator=generator) + _OFFSET) * scales[:, None]


def _units(values: torch.Tensor) -> torch.Tensor:
    """Return 16-bit floating numbers in units in the last place: next to each other, 1 apart."""
    bits = values.view(torch.int16).to(torch.int32)
    return torch.where(bits < 0, -(bits & 0x7FFF), bits)

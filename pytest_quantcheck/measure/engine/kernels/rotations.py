"""Rotary position embeddings while packs are forwarded, by one kernel, the same to the bit."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from pytest_quantcheck.measure.engine.kernels.replaced import HALVES, holds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from transformers import PreTrainedModel

_NAME = "apply_rotary_pos_emb"
_HEADS = 8
"""Of one row, rotated by one part of a GPU."""
_DIMENSIONS = 4
_TRIAL = (5, 3, 9, 64)
"""Heads of queries and of keys, rows, features."""


class FusedRotations:
    """The rotations of queries and keys that a model's code calls, where one kernel gives the same.

    Parameters
    ----------
    model : PreTrainedModel
        In evaluation mode, on a GPU.

    Notes
    -----
    transformers rotates by a function of each architecture's module, whose eleven kernels read and
    write queries and keys some nine times; it is exchanged there while packs are forwarded.
    RoFormer (Su et al., 2021), equation 34.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        names = {type(module).__module__ for module in model.modules()}
        modules = [sys.modules[name] for name in sorted(names) if name in sys.modules]
        self._own = {
            module: vars(module)[_NAME]
            for module in modules
            if _NAME in vars(module)
            and holds(partial(_is_same, vars(module)[_NAME], model.device, model.dtype))
        }

    def __len__(self) -> int:
        """How many there are."""
        return len(self._own)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Let them be computed by the kernel; everything is as before afterwards."""
        try:
            for module, own in self._own.items():
                vars(module)[_NAME] = partial(_fused, own)
            yield
        finally:
            for module, own in self._own.items():
                vars(module)[_NAME] = own


def rotated(inputs: torch.Tensor, cosines: torch.Tensor, sines: torch.Tensor) -> torch.Tensor:
    """Return queries or keys, rotated.

    Parameters
    ----------
    inputs : (1, h, t, d) float16 or bfloat16
        On a GPU; features next to each other.
    cosines, sines : (1, t, d), of the same dtype
        Contiguous.

    Returns
    -------
    (1, h, t, d)
        In memory the heads of a row lie next to each other.
    """
    from pytest_quantcheck.measure.engine.kernels.triton_elementwise import rotate_kernel

    _, heads, rows, width = inputs.shape
    found = torch.empty((1, rows, heads, width), dtype=inputs.dtype, device=inputs.device)
    half = width // 2
    with torch.cuda.device_of(inputs):  # type: ignore[no-untyped-call]
        rotate_kernel[(rows, -(-heads // _HEADS))](
            inputs,
            cosines,
            sines,
            found,
            heads,
            half,
            inputs.stride(2),
            inputs.stride(1),
            HEADS=_HEADS,
            HALF=1 << (half - 1).bit_length(),
            enable_fp_fusion=False,  # torch rounds products before it adds them
        )
    return found.transpose(1, 2)


def _fused(
    own: Callable[..., tuple[torch.Tensor, torch.Tensor]],
    q: torch.Tensor,
    k: torch.Tensor,
    cos: torch.Tensor,
    sin: torch.Tensor,
    *others: Any,  # noqa: ANN401 - as the architecture calls its own
    **named: Any,  # noqa: ANN401
) -> tuple[torch.Tensor, torch.Tensor]:
    if others or named or not all(_fits(one, cos, sin) for one in (q, k)):
        return own(q, k, cos, sin, *others, **named)
    return rotated(q, cos, sin), rotated(k, cos, sin)


def _fits(inputs: torch.Tensor, cosines: torch.Tensor, sines: torch.Tensor) -> bool:
    """Whether the kernel is made for these: one row of 16-bit inputs, all features rotated."""
    shape = (1, inputs.shape[-2], inputs.shape[-1])
    return (
        inputs.ndim == _DIMENSIONS
        and len(inputs) == 1
        and inputs.stride(-1) == 1
        and inputs.shape[-1] % 2 == 0
        and inputs.dtype in HALVES
        and all(
            one.shape == shape and one.dtype == inputs.dtype and one.is_contiguous()
            for one in (cosines, sines)
        )
    )


def _is_same(own: Any, device: torch.device, dtype: torch.dtype) -> bool:  # noqa: ANN401
    """Return whether both are the same to the bit."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(device=device, dtype=dtype)

    queries, keys, rows, width = _TRIAL
    q, k = (random(1, rows, heads, width).transpose(1, 2) for heads in (queries, keys))
    cos, sin = random(1, rows, width), random(1, rows, width)
    if not all(_fits(one, cos, sin) for one in (q, k)):
        return False
    pairs = zip(_fused(own, q, k, cos, sin), own(q, k, cos, sin), strict=True)
    return all(torch.equal(found, expected) for found, expected in pairs)

"""What tensors take on a device, wherever an object keeps them."""

from __future__ import annotations

from types import FunctionType, ModuleType
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import PreTrainedModel

_CLOSED = (type, ModuleType, FunctionType)
"""What leads out of an object into the program."""


def tensor_bytes(kept: object, device: str) -> int:
    """Return the bytes on `device` of all tensors in an object, each memory once."""
    kind = torch.device(device)
    sizes: dict[int, int] = {}
    seen: dict[int, object] = {}
    waiting = [kept]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen[id(one)] = one
        if isinstance(one, torch.Tensor) and one.device == kind:
            memory = one.untyped_storage()
            sizes[memory.data_ptr()] = memory.nbytes()
        waiting.extend(_inside(one))
    return sum(sizes.values())


def resident_bytes(model: PreTrainedModel, device: str) -> int:
    """Return what a model's parameters, buffers and quantization states take on `device`."""
    kept = [*model.parameters(), *model.buffers()]
    states = [
        getattr(module, name, None)
        for module in model.modules()
        for name in ("state", "quant_state")
    ]
    return tensor_bytes([kept, states], device)


def _inside(one: object) -> Iterator[object]:
    if isinstance(one, dict):
        yield from one.values()
    elif isinstance(one, list | tuple):
        yield from one
    elif hasattr(one, "__dict__") and not isinstance(one, _CLOSED):
        yield from vars(one).values()

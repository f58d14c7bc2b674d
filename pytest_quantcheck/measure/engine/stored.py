"""What the tensors of a checkpoint quantized by any library say, by the model it is one of."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from pytest_quantcheck.measure.engine.weights import counted_weights, digest_of, largest_first
from pytest_quantcheck.measure.protocols import Weights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from transformers import PreTrainedModel

_MOST_PACKED_BITS = 12
"""Integers with their scales, a parameter; 16 would be no quantization."""
_BIAS = "bias"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """How the layers of a checkpoint are stored, read before its first forward pass."""

    packed_bytes: Mapping[str, int]
    """Of each layer whose weight is packed, by its name."""
    weights: Weights
    """Without digests."""


def read_stored(
    model: PreTrainedModel,
    plain: PreTrainedModel,
    *,
    declared_bytes: int,
    skipped: Sequence[str] = (),
) -> Stored:
    """Read how the weights of a quantized checkpoint are stored.

    Parameters
    ----------
    model : PreTrainedModel
        As loaded, before any forward pass: some libraries unpack in the first one.
    plain : PreTrainedModel
        The model under test, unquantized: its layers and their shapes. No memory is needed.
    declared_bytes : int
        Bytes of a parameter that is not quantized.
    skipped : sequence of str
        Modules left on purpose, by dotted name or its last part.

    Notes
    -----
    A layer is packed if its tensors other than the bias are integers or 8-bit floats with scales,
    and take at most 12 bits for each parameter of the plain layer. A weight whose layer is not
    found, or not understood, counts as not quantized.
    """
    sizes = {name: tensor.numel() for name, tensor in counted_weights(plain, skipped)}
    packed: dict[str, int] = {}
    left = {}
    for name, parameters in sizes.items():
        layer = name.rpartition(".")[0]
        size = _packed_bytes(_tensors(model, layer), parameters)
        if size is None:
            left[name] = parameters
        else:
            packed[layer] = size
    total = sum(sizes.values())
    rest = sum(
        tensor.numel() * declared_bytes
        for name, tensor in model.named_parameters()
        if name.rpartition(".")[0] not in packed or name.endswith(f".{_BIAS}")
    )
    return Stored(
        packed_bytes=packed,
        weights=Weights(
            stored_bytes=sum(packed.values()) + rest,
            quantized_fraction=1 - sum(left.values()) / total if total else 0.0,
            left=largest_first(left),
            digests=(),
        ),
    )


def with_digests(
    stored: Stored, model: PreTrainedModel, plain: PreTrainedModel, *, canonical: torch.dtype
) -> Weights:
    """Return what was read with digests of the weights, unpacked by now where the library does.

    Notes
    -----
    Weights that stay packed are digested as they lie, so that they never equal the reference's.
    """
    found = []
    for name, _ in counted_weights(plain, ()):
        layer, _, own = name.rpartition(".")
        tensors = _tensors(model, layer)
        tensor = tensors.get(own)
        if tensor is not None and tensor.is_floating_point():
            found.append((name, digest_of(model.get_submodule(layer), tensor, canonical)))
        else:
            found.append((name, _raw_digest(tensors)))
    return replace(stored.weights, digests=tuple(sorted(found)))


def _tensors(model: PreTrainedModel, layer: str) -> dict[str, torch.Tensor]:
    """Return parameters and buffers of one layer; none where the model has no such layer."""
    try:
        module = model.get_submodule(layer)
    except AttributeError:
        return {}
    own = (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
    return {name: tensor for name, tensor in own if name != _BIAS}


def _packed_bytes(tensors: Mapping[str, torch.Tensor], parameters: int) -> int | None:
    """Return the bytes of a packed layer; None if it is not packed."""
    codes = [t for t in tensors.values() if not t.is_floating_point() or t.element_size() == 1]
    scales = [t for t in tensors.values() if t.is_floating_point() and t.element_size() > 1]
    size = sum(t.nbytes for t in tensors.values())
    if not codes or not scales or size * 8 > parameters * _MOST_PACKED_BITS:
        return None
    return size


def _raw_digest(tensors: Mapping[str, torch.Tensor]) -> str:
    content = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        content.update(f"{name} {tuple(tensor.shape)}".encode())
        head = tensor.detach().reshape(-1)[: 2**12].contiguous().cpu()
        content.update(head.view(torch.uint8).numpy().tobytes())
    return content.hexdigest()

"""What the tensors of a loaded model say: how they are stored, and a digest of each."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from pytest_quantcheck.measure.protocols import Weights

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from transformers import PreTrainedModel

_DIGEST_VALUES = 2**15
"""Leading values of a weight that its digest covers."""
_INT8_STEPS = 127
_WEIGHT_DIMENSIONS = {2, 3}
_MOST_PACKED_BITS = 8
CLASSIFIER = "ForSequenceClassification"
"""How transformers names architectures with a classification head."""
_HEADS = {"classifier", "pre_classifier", "score"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parameter:
    name: str
    module: torch.nn.Module
    tensor: torch.Tensor
    is_counted: bool
    """Whether it is a weight that a quantizer is expected to pack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Packed:
    """A tensor of packed integers with its scales."""

    parameters: int
    size_bytes: int


def read_weights(
    model: PreTrainedModel, *, declared_bytes: int, canonical: torch.dtype, skipped: Sequence[str]
) -> Weights:
    """Read how the weights of `model` are stored.

    Parameters
    ----------
    model : PreTrainedModel
        As loaded, before any forward pass.
    declared_bytes : int
        Bytes of a parameter that is not quantized, at the declared precision.
    canonical : torch.dtype
        What values are rounded to before a digest is taken: the reference's dtype.
    skipped : sequence of str
        Modules left on purpose, by dotted name or its last part.

    Notes
    -----
    A digest covers the shape and the first 32768 values of a weight, dequantized: a quantizer
    that changed a weight at all changed one of those, and comparing models of many gigabytes
    takes no time. Values rounded to `canonical` are equal exactly when quantization lost nothing.
    """
    stored = 0
    packed_count = 0
    left = {}
    digests = {}
    for parameter in _parameters(model, skipped):
        packed = _packed(parameter)
        tensor = parameter.tensor
        stored += packed.size_bytes if packed else tensor.numel() * declared_bytes
        if not parameter.is_counted:
            continue
        if packed:
            packed_count += packed.parameters
        else:
            left[parameter.name] = tensor.numel()
        digests[parameter.name] = digest_of(parameter.module, tensor, canonical)
    total = packed_count + sum(left.values())
    return Weights(
        stored_bytes=stored,
        quantized_fraction=packed_count / total if total else 0.0,
        left=largest_first(left),
        digests=tuple(sorted(digests.items())),
    )


def counted_weights(
    model: PreTrainedModel, skipped: Sequence[str]
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield name and tensor of each weight that a quantizer is expected to pack."""
    for parameter in _parameters(model, skipped):
        if parameter.is_counted:
            yield parameter.name, parameter.tensor


def largest_first(parameters: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    """Return (name, parameters) of weights, those of one size by their names."""
    return tuple(sorted(parameters.items(), key=lambda pair: (-pair[1], pair[0])))


def end_tensors(model: Any) -> frozenset[int]:  # noqa: ANN401 - partly untyped in transformers
    """Return the identities of the tensors of input embeddings and output head, tied or not."""
    heads = (getattr(model, name, None) for name in classification_heads(model))
    ends = (model.get_input_embeddings(), model.get_output_embeddings(), *heads)
    return frozenset(id(tensor) for end in ends if end is not None for tensor in end.parameters())


def classification_heads(model: Any) -> tuple[str, ...]:  # noqa: ANN401 - partly untyped
    """Return the names of the modules that make the labels of a classification model."""
    if not type(model).__name__.endswith(CLASSIFIER):
        return ()
    return tuple(name for name, _ in model.named_children() if name in _HEADS)


def matches(module_name: str, skipped: Sequence[str]) -> bool:
    """Return whether a module, or one it is part of, is named in `skipped`."""
    dotted = f".{module_name}."
    return any(f".{name}." in dotted for name in skipped)


def _parameters(model: PreTrainedModel, skipped: Sequence[str]) -> Iterator[_Parameter]:
    """Yield every parameter once, tied ones under their first name."""
    outside = end_tensors(model)
    seen: set[int] = set()
    for module_name, module in model.named_modules():
        skip = isinstance(module, torch.nn.Embedding) or matches(module_name, skipped)
        for name, tensor in module.named_parameters(recurse=False):
            if id(tensor) in seen:
                continue
            seen.add(id(tensor))
            full_name = f"{module_name}.{name}" if module_name else name
            yield _Parameter(
                name=full_name,
                module=module,
                tensor=tensor,
                is_counted=not skip
                and id(tensor) not in outside
                and tensor.ndim in _WEIGHT_DIMENSIONS,
            )


def _packed(parameter: _Parameter) -> _Packed | None:
    """Return the integers behind a parameter if it really holds some with their scales."""
    tensor: Any = parameter.tensor
    size = tensor.nbytes
    state = getattr(tensor, "quant_state", None)
    if state is not None and size <= (parameters := math.prod(state.shape)):
        # Whatever dtype the integers lie in, they take at most 8 bits each.
        return _Packed(parameters=parameters, size_bytes=size + _state_bytes(state))
    if tensor.element_size() * 8 > _MOST_PACKED_BITS or tensor.is_floating_point():
        return None
    scales = getattr(tensor, "SCB", None)
    if scales is not None:
        return _Packed(parameters=tensor.numel(), size_bytes=size + scales.numel() * 4)
    return None


def _state_bytes(state: Any) -> int:  # noqa: ANN401 - bitsandbytes has no types
    """Return the bytes of scales and code books, those of nested scales included."""
    tensors = [state.absmax, state.code]
    if state.nested:
        tensors += [state.offset, state.state2.absmax, state.state2.code]
    return sum(tensor.nbytes for tensor in tensors)


def digest_of(module: torch.nn.Module, tensor: torch.Tensor, canonical: torch.dtype) -> str:
    """Return the digest of a weight of `module`, dequantized and rounded to `canonical`."""
    shape, values = _leading_values(module, tensor)
    rounded = values.reshape(-1)[:_DIGEST_VALUES].to(canonical).contiguous().cpu()
    content = hashlib.sha256(repr(tuple(shape)).encode())
    content.update(rounded.view(torch.uint8).numpy().tobytes())
    return content.hexdigest()


def _leading_values(
    module: torch.nn.Module,
    tensor: Any,  # noqa: ANN401 - bitsandbytes adds attributes of its own
) -> tuple[Sequence[int], torch.Tensor]:
    """Return the shape, output features first, and at least the first values."""
    if getattr(tensor, "quant_state", None) is not None:
        return tensor.quant_state.shape, _leading_4bit(tensor)
    if type(module).__name__ == "Conv1D":  # GPT-2's linear layer, stored transposed
        tensor = tensor.T
    rows = -(-_DIGEST_VALUES // math.prod(tensor.shape[1:]))
    values = tensor.detach()[:rows].float()
    scales = getattr(tensor, "SCB", None)
    if scales is not None:
        values = values * (scales[:rows, None] / _INT8_STEPS)
    return tensor.shape, values


def _leading_4bit(tensor: Any) -> torch.Tensor:  # noqa: ANN401 - bitsandbytes has no types
    from bitsandbytes.functional import QuantState, dequantize_4bit

    state = tensor.quant_state
    if state.nested:
        return dequantize_4bit(tensor.data, state).float()
    count = min(math.prod(state.shape), _DIGEST_VALUES)
    head = QuantState(  # type: ignore[no-untyped-call]
        absmax=state.absmax[: -(-count // state.blocksize)],
        shape=torch.Size((1, count)),
        code=state.code,
        blocksize=state.blocksize,
        quant_type=state.quant_type,
        dtype=torch.float32,
    )
    packed = tensor.data.view(torch.uint8).reshape(-1)[: (count + 1) // 2]
    return dequantize_4bit(packed.reshape(-1, 1), head)

"""LoRA adapters: beside the weights of any variant, or merged into them before quantization."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError

from pytest_quantcheck.errors import BackendUnavailable, UsageError, first_line
from pytest_quantcheck.measure.backends.kinds import model_class
from pytest_quantcheck.measure.engine.undisturbed import undisturbed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import PreTrainedConfig, PreTrainedModel

    from pytest_quantcheck.measure.protocols import ModelSource, Weights

_OURS = ("lora_", "modules_to_save", "trainable_tokens_")
"""What names of an adapter's own parameters hold."""
_PICKLE = "adapter_model.bin"


def attach_adapter(
    model: PreTrainedModel, source: ModelSource, weights: Weights, *, dtype: torch.dtype
) -> Weights:
    """Put the adapter of `source`, if any, beside the weights of `model`.

    Parameters
    ----------
    model : PreTrainedModel
        As loaded, quantized or not; its layers are replaced in place.
    source : ModelSource
        Names the adapter.
    weights : Weights
        Of the model without it.
    dtype : torch.dtype
        What the adapter is rounded to.

    Returns
    -------
    Weights
        With the adapter's bytes; what is quantized, and what is left, is read from the model
        alone.

    Raises
    ------
    BackendUnavailable
        peft is not installed.
    UsageError
        The adapter is missing, empty, or one of another model.
    """
    if source.adapter is None or source.merges_adapter:
        return weights
    wrapped = _wrapped(model, source)
    size = 0
    for name, tensor in wrapped.named_parameters():
        if any(part in name for part in _OURS):
            tensor.data = tensor.data.to(dtype)
            tensor.requires_grad_(requires_grad=False)
            size += tensor.numel() * dtype.itemsize
    return replace(weights, stored_bytes=weights.stored_bytes + size)


@contextmanager
def merged(
    source: ModelSource, dtype: torch.dtype, *, config: PreTrainedConfig
) -> Iterator[ModelSource]:
    """Give a checkpoint with the adapter merged into its weights, while the context lasts.

    The sum is taken in float32 and saved in `dtype`. Without an adapter to merge, the source
    itself is given.
    """
    if not source.merges_adapter:
        yield source
        return
    with TemporaryDirectory(prefix="quantcheck-merged-") as folder:
        with undisturbed():
            base = model_class(config).from_pretrained(
                source.model,
                revision=source.revision,
                dtype=torch.float32,
                use_safetensors=True,
                trust_remote_code=source.trust_remote_code,
            )
        whole = _wrapped(base, source).merge_and_unload(safe_merge=True)
        with undisturbed():
            whole.to(dtype).save_pretrained(folder)
        del base, whole
        yield replace(source, model=folder, revision=None, adapter=None, merges_adapter=False)


def _wrapped(model: PreTrainedModel, source: ModelSource) -> Any:  # noqa: ANN401 - peft has no types
    """Return the adapter around the model, loaded and checked."""
    if find_spec("peft") is None:
        raise BackendUnavailable(
            f"adapter {source.adapter} needs peft, which is not installed: "
            "pip install 'pytest-quantcheck[peft]'"
        )
    with undisturbed():
        import peft

    adapter = str(source.adapter)
    _refuse_pickles(adapter)
    try:
        with undisturbed():
            wrapped = peft.PeftModel.from_pretrained(
                model,
                adapter,
                is_trainable=False,
                torch_device=str(model.device),
                autocast_adapter_dtype=False,
                use_safetensors=True,
            )
            found = _loaded_keys(adapter)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, SafetensorError) as error:
        raise UsageError(
            f"adapter {adapter} of {source.model} could not be loaded ({type(error).__name__}: "
            f"{first_line(error)}); expected a folder saved by peft for this model, or a hub id"
        ) from error
    _check_complete(wrapped, found, source)
    return wrapped.eval()


def _refuse_pickles(adapter: str) -> None:
    folder = Path(adapter)
    if (folder / _PICKLE).is_file() and not (folder / "adapter_model.safetensors").is_file():
        raise UsageError(
            f"adapter {adapter} has only pickled weights ({_PICKLE}), which can run code when they "
            "are loaded; save it with safe_serialization=True"
        )


def _loaded_keys(adapter: str) -> dict[str, torch.Tensor]:
    import peft

    found: dict[str, torch.Tensor] = peft.load_peft_weights(
        adapter, device="cpu", use_safetensors=True
    )
    return found


def _check_complete(wrapped: Any, found: dict[str, torch.Tensor], source: ModelSource) -> None:  # noqa: ANN401 - peft has no types
    """Check that the file holds every weight of the adapter, no other, and one that acts."""
    import peft

    expected = set(peft.get_peft_model_state_dict(wrapped))
    for names, what in ((expected - set(found), "lacks"), (set(found) - expected, "adds")):
        if names:
            raise UsageError(
                f"adapter {source.adapter} {what} {len(names)} weights for {source.model}, such as "
                f"{min(names)}: it belongs to another model; give the one trained on this model"
            )
    if not any(bool(tensor.any()) for name, tensor in found.items() if "lora_A" not in name):
        raise UsageError(
            f"adapter {source.adapter} changes nothing: every product of its matrices is 0; was it "
            "saved before training?"
        )

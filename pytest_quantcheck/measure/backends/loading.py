"""Opening checkpoints with transformers: what may be wrong is said before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import transformers
from safetensors import SafetensorError

from pytest_quantcheck.core.variant import AS_STORED
from pytest_quantcheck.errors import BackendUnavailable, UsageError, first_line
from pytest_quantcheck.measure.backends.access import (
    advice,
    disk_bytes_of,
    revision_of,
    weight_files_bytes,
)
from pytest_quantcheck.measure.backends.adapters import merged
from pytest_quantcheck.measure.backends.compatible import (
    check_same_architecture,
    check_same_tokens,
)
from pytest_quantcheck.measure.backends.kinds import model_class
from pytest_quantcheck.measure.engine.encoding import Encoder
from pytest_quantcheck.measure.engine.undisturbed import undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import PreTrainedConfig, PreTrainedModel

    from pytest_quantcheck.core.variant import Variant
    from pytest_quantcheck.measure.protocols import ModelSource

# Partly untyped in transformers.
_CONFIGS: Any = transformers.AutoConfig
_TOKENIZERS: Any = transformers.AutoTokenizer
_MOST_NAMED = 5
_LOADABLE = (
    "expected a folder saved with save_pretrained, or a hub id that this machine can reach and "
    "may read"
)
_MadeT = TypeVar("_MadeT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A checkpoint as transformers opened it."""

    model: PreTrainedModel
    tokenizer: Encoder
    revision: str | None
    """Commit of a hub's checkpoint, or digest of a folder's."""
    disk_bytes: int | None
    """Of the weight files that were read, where they are known."""

    @property
    def device(self) -> str:
        """Where its inputs go: a model that is spread may lie on another device altogether."""
        return str(self.model.device)


def open_config(source: ModelSource) -> PreTrainedConfig:
    """Return the configuration of a model.

    Raises
    ------
    UsageError
        There is none, or it cannot be read.
    """
    folder = Path(source.model)
    if folder.is_absolute() and not folder.is_dir():
        raise UsageError(
            f"model {source.model}: no such folder; expected one saved with save_pretrained, or a "
            "hub id"
        )
    try:
        with undisturbed():
            return _CONFIGS.from_pretrained(  # type: ignore[no-any-return]
                source.model,
                revision=source.revision,
                trust_remote_code=source.trust_remote_code,
            )
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(_cannot("its configuration", source, error)) from error


def open_checkpoint(
    variant: Variant,
    source: ModelSource,
    *,
    dtype: torch.dtype,
    quantization: object = None,
    kept: Path | None = None,
) -> Opened:
    """Load the weights and the tokenizer of a model.

    Parameters
    ----------
    variant : Variant
        Named in errors.
    source : ModelSource
        The model under test and where it goes; the variant may name a checkpoint of its own.
    dtype : torch.dtype
        Of everything that is not quantized.
    quantization : transformers quantization config, optional
        How the weights are quantized while they are loaded.
    kept : Path, optional
        Where the weights are if they have been quantized before.

    Raises
    ------
    BackendUnavailable
        There is no such device.
    UsageError
        The checkpoint cannot be loaded as asked.
    """
    _check_device(variant, source)
    own = source.of(variant)
    config = open_config(own)
    if variant.precision == AS_STORED:
        check_same_architecture(variant, config, open_config(source), source)
    else:
        _check_unquantized(config, variant, own)
    _check_format(own)
    asks = quantization is not None and kept is None
    extra = {"quantization_config": quantization} if asks else {}
    try:
        tokenizer = _open_encoder(own)
        if own is not source:
            check_same_tokens(variant, tokenizer.tokenizer, _open_encoder(source).tokenizer)
        with merged(own, dtype, config=config) as loadable, undisturbed():
            model, report = model_class(config).from_pretrained(
                kept or loadable.model,
                revision=None if kept else loadable.revision,
                dtype=dtype,
                device_map="balanced" if source.is_spread else {"": source.device},
                use_safetensors=True,
                trust_remote_code=source.trust_remote_code,
                output_loading_info=True,
                **extra,
            )
    except torch.OutOfMemoryError as error:
        raise UsageError(
            f"variant {variant.label} of {source.model} does not fit into the memory of "
            f"{' and '.join((source.device, *source.others))}: free memory there, or choose a "
            "smaller model or precision"
        ) from error
    except (
        OSError,
        ValueError,
        KeyError,
        ImportError,
        RuntimeError,
        SafetensorError,  # a file that was cut short
    ) as error:
        raise UsageError(_cannot(f"variant {variant.label}", own, error)) from error
    _check_complete(report, own)
    return Opened(
        model=model.eval(),
        tokenizer=tokenizer,
        revision=revision_of(own),
        disk_bytes=weight_files_bytes(kept) if kept else disk_bytes_of(own),
    )


def _open_encoder(source: ModelSource) -> Encoder:
    """Return the tokenizer of a model."""
    return _shared(source, "tokenizer", lambda: Encoder(_open_tokenizer(source)))


def _open_tokenizer(source: ModelSource) -> object:
    try:
        with undisturbed():
            return _TOKENIZERS.from_pretrained(
                source.model, revision=source.revision, trust_remote_code=source.trust_remote_code
            )
    except (OSError, ValueError, KeyError, ImportError) as error:
        expected = (
            "expected tokenizer.json and tokenizer_config.json beside config.json, as the "
            "tokenizer's save_pretrained writes them"
        )
        raise UsageError(_cannot("its tokenizer", source, error, expected=expected)) from error


def skeleton(source: ModelSource) -> PreTrainedModel:
    """Return the model without memory for its weights: names and shapes, to be read only."""
    return _shared(source, "skeleton", lambda: _make_skeleton(source))


def _shared(source: ModelSource, what: str, make: Callable[[], _MadeT]) -> _MadeT:
    """Return what all variants of a checkpoint have in common, made once where they share it."""
    if source.shared is None:
        return make()
    return source.shared.get((what, source.model, source.revision, source.trust_remote_code), make)


def _make_skeleton(source: ModelSource) -> PreTrainedModel:
    config = open_config(source)
    try:
        with undisturbed(), torch.device("meta"):
            return model_class(config).from_config(  # type: ignore[no-any-return]
                config, trust_remote_code=source.trust_remote_code
            )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise UsageError(_cannot("its architecture", source, error)) from error


def upcast_to_float32(model: PreTrainedModel) -> None:
    """Compute in float32: convert every floating tensor, keeping the values it was rounded to.

    Packed integers may lie in a tensor of a floating dtype; they stay.
    """
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point() and getattr(tensor, "quant_state", None) is None:
                tensor.data = tensor.data.float()


def _check_device(variant: Variant, source: ModelSource) -> None:
    if source.device.startswith("cuda") and not torch.cuda.is_available():
        raise BackendUnavailable(
            f"variant {variant.label}: device {source.device} was asked for, and torch "
            f"{torch.__version__} sees no CUDA device; install a CUDA build of torch, or choose "
            "the device cpu"
        )


def _check_unquantized(config: PreTrainedConfig, variant: Variant, source: ModelSource) -> None:
    stored = getattr(config, "quantization_config", None)
    if stored is None:
        return
    settings = stored if isinstance(stored, dict) else stored.to_dict()
    raise UsageError(
        f"model {source.model} is already quantized ({settings.get('quant_method', 'unknown')}): "
        f"it cannot be loaded as {variant.label}; give the unquantized checkpoint"
    )


def _check_format(source: ModelSource) -> None:
    folder = Path(source.model)
    pickles = sorted(path.name for path in folder.glob("pytorch_model*.bin"))
    if pickles and not any(folder.glob("*.safetensors")):
        raise UsageError(
            f"model {source.model} has only pickled weights ({pickles[0]}), which can run code "
            "when they are loaded; expected model.safetensors: convert it once with "
            "save_pretrained"
        )


def _check_complete(report: dict[str, Any], source: ModelSource) -> None:
    missing = sorted(report.get("missing_keys") or ())
    if missing:
        shown = ", ".join(missing[:_MOST_NAMED])
        raise UsageError(
            f"model {source.model}: {len(missing)} weights are missing from the checkpoint and "
            f"would be random: {shown}; expected a complete causal language model, "
            "or one whose classification head was trained"
        )


def _cannot(what: str, source: ModelSource, error: Exception, *, expected: str = _LOADABLE) -> str:
    is_folder = Path(source.model).is_absolute()
    taken_for = "" if is_folder else " (taken for a hub id: there is no such folder)"
    remote = " with remote code" if source.trust_remote_code else ""
    return (
        f"model {source.model!r}{taken_for}: {what} could not be loaded{remote} "
        f"(from_pretrained: {type(error).__name__}: {first_line(error)}); "
        f"{advice(error) or expected}"
    )

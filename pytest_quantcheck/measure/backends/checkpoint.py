"""Checkpoints that were quantized before, by whatever library `from_pretrained` knows."""

from __future__ import annotations

import re
from contextlib import redirect_stderr
from dataclasses import replace
from io import StringIO
from typing import TYPE_CHECKING, Any

import torch

from pytest_quantcheck.errors import BackendUnavailable, UsageError, first_line
from pytest_quantcheck.measure.backends.adapters import attach_adapter
from pytest_quantcheck.measure.backends.bitsandbytes import (
    INT8_ON_BF16,
    BitsandbytesBackend,
    compute_in_float32,
)
from pytest_quantcheck.measure.backends.kinds import in_memory
from pytest_quantcheck.measure.backends.loading import open_checkpoint, open_config, skeleton
from pytest_quantcheck.measure.backends.transformers import DTYPES
from pytest_quantcheck.measure.engine.llm_int8.layers import separate_sequences
from pytest_quantcheck.measure.engine.stored import read_stored, with_digests
from pytest_quantcheck.measure.engine.undisturbed import undisturbed
from pytest_quantcheck.measure.engine.weights import read_weights
from pytest_quantcheck.measure.reference import native_precision

if TYPE_CHECKING:
    from collections.abc import Mapping

    from transformers import PreTrainedModel

    from pytest_quantcheck.core.variant import Variant
    from pytest_quantcheck.measure.engine.causal import CausalModel
    from pytest_quantcheck.measure.engine.classification import ClassificationModel
    from pytest_quantcheck.measure.protocols import ModelSource, Weights

_BITSANDBYTES = "bitsandbytes"
_PIP = re.compile(r"pip install (?:-\S+ )?['\"]?([\w\-.\[\],]+)")
_MISSING_DEVICE = re.compile(r"\b(GPU|CUDA|XPU|MPS)\b")


class CheckpointBackend:
    """Loads folders that hold packed weights.

    Notes
    -----
    A CPU computes in float32 where the library unpacks weights or is bitsandbytes; other packed
    layers compute as their library does. compressed-tensors unpacks in the first forward pass,
    which is taken while loading, after the weights were read as stored.
    """

    def load(self, variant: Variant, source: ModelSource) -> CausalModel | ClassificationModel:
        """Return the variant in memory.

        Raises
        ------
        BackendUnavailable
            A package or device is missing.
        UsageError
            The checkpoint is not quantized, or no quantization of this model.
        """
        settings = _quantization(variant, source)
        native = native_precision(source.of(variant))
        is_int8 = bool(settings.get("load_in_8bit"))
        dtype = torch.float16 if is_int8 else DTYPES[native]
        _check_environment(variant, settings, source.device)
        with redirect_stderr(StringIO()):  # progress bars that know no switch
            opened = open_checkpoint(variant, source, dtype=dtype)
            read = _read_bitsandbytes if _method(settings) == _BITSANDBYTES else _read_and_unpack
            weights = read(variant, source, opened.model)
        weights = attach_adapter(opened.model, source, weights, dtype=dtype)
        in_float32 = source.device == "cpu" and not _is_packed(opened.model)
        if in_float32:
            compute_in_float32(opened.model)
        if is_int8:
            separate_sequences(opened.model)
        return in_memory(
            opened,
            replace(weights, method=describe(settings)),
            compute=torch.float32 if in_float32 else dtype,
            overflow_note=INT8_ON_BF16 if is_int8 and native == "bf16" else "",
        )

    def estimate_bytes(self, variant: Variant, source: ModelSource) -> int:
        """Return about how many bytes the loaded variant takes, without loading it.

        Notes
        -----
        Other libraries than bitsandbytes may unpack the weights: counted as such, at most.
        """
        settings = _quantization(variant, source)
        if _method(settings) == _BITSANDBYTES:
            packed = "int8" if settings.get("load_in_8bit") else "nf4"
            same = replace(variant, precision=packed, checkpoint=None, revision=None)
            return BitsandbytesBackend().estimate_bytes(same, source)
        each = torch.float32 if source.device == "cpu" else torch.float16
        return skeleton(source).num_parameters() * each.itemsize


def describe(settings: Mapping[str, Any]) -> str:
    """Return how a checkpoint is quantized, from its configuration.

    Examples
    --------
    >>> describe({"quant_method": "gptq", "bits": 4})
    'gptq 4-bit'
    >>> weights = {"weights": {"num_bits": 4}, "input_activations": None}
    >>> describe({"quant_method": "compressed-tensors", "config_groups": {"group_0": weights}})
    'compressed-tensors W4A16'
    """
    method = _method(settings)
    if method == _BITSANDBYTES:
        if settings.get("load_in_8bit"):
            return f"{method} LLM.int8"
        nested = ", double quant" if settings.get("bnb_4bit_use_double_quant") else ""
        return f"{method} {settings.get('bnb_4bit_quant_type', '4-bit')}{nested}"
    if groups := settings.get("config_groups"):
        schemes = dict.fromkeys(_scheme(group) for group in groups.values())
        return f"{method} {'/'.join(schemes)}"
    bits = settings.get("bits") or settings.get("w_bit")
    return f"{method} {bits}-bit" if bits else method


def _scheme(group: Mapping[str, Any]) -> str:
    weights, inputs = group.get("weights") or {}, group.get("input_activations") or {}
    kind = " float" if weights.get("type") == "float" else ""
    return f"W{weights.get('num_bits', 16)}A{inputs.get('num_bits', 16)}{kind}"


def _method(settings: Mapping[str, Any]) -> str:
    is_old = settings.get("load_in_4bit") or settings.get("load_in_8bit")
    method = settings.get("quant_method") or (_BITSANDBYTES if is_old else "unknown")
    return str(getattr(method, "value", method))


def _quantization(variant: Variant, source: ModelSource) -> dict[str, Any]:
    """Return what a checkpoint's configuration says of its quantization.

    Raises
    ------
    UsageError
        There is none, or an adapter should be merged into it.
    """
    own = source.of(variant)
    stored = getattr(open_config(own), "quantization_config", None)
    if stored is None:
        raise UsageError(
            f"variant {variant.name}: checkpoint {own.model} is not quantized (its config.json has "
            "no quantization_config); give a quantized one, or state how to load this one: "
            'precision = "fp16"'
        )
    if source.merges_adapter:
        raise UsageError(
            f"variant {variant.name}: {own.model} is quantized already, so that no adapter can be "
            "merged into it; merge before quantizing and test the merged model, or set merge = "
            "false"
        )
    return dict(stored) if isinstance(stored, dict) else dict(stored.to_dict())


def _check_environment(variant: Variant, settings: dict[str, Any], device: str) -> None:
    """Ask transformers whether packages and devices of the method are there."""
    from transformers.quantizers.auto import AutoHfQuantizer

    ask: Any = AutoHfQuantizer
    what = f"variant {variant.labelled(describe(settings))}"
    try:
        with undisturbed():
            quantizer = ask.from_config(dict(settings), pre_quantized=True)
            quantizer.validate_environment(device_map={"": device}, dtype=torch.float16)
    except ImportError as error:
        package = _package(error, _method(settings))
        raise BackendUnavailable(
            f"{what} needs {package}, which is not installed: pip install {package} "
            f"(transformers: {first_line(error)})"
        ) from error
    except (RuntimeError, ValueError) as error:
        if _MISSING_DEVICE.search(str(error)):
            raise BackendUnavailable(
                f"{what} does not run on {device} (transformers: {first_line(error)})"
            ) from error
        raise UsageError(
            f"{what}: {variant.checkpoint} cannot be loaded (transformers: {first_line(error)})"
        ) from error


def _package(error: ImportError, method: str) -> str:
    named = _PIP.search(str(error))
    if named:
        return named[1]
    return (error.name or method).partition(".")[0].replace("_", "-")


def _read_bitsandbytes(variant: Variant, source: ModelSource, model: PreTrainedModel) -> Weights:
    for module in model.modules() if source.device == "cpu" else ():
        if hasattr(module, "compute_dtype"):
            module.compute_dtype = torch.float32  # type: ignore[assignment]  # no submodule
    return read_weights(
        model,
        declared_bytes=torch.float16.itemsize,
        canonical=DTYPES[native_precision(source)],
        skipped=variant.skip_modules,
    )


def _read_and_unpack(variant: Variant, source: ModelSource, model: PreTrainedModel) -> Weights:
    plain = skeleton(source)
    stored = read_stored(
        model, plain, declared_bytes=torch.float16.itemsize, skipped=variant.skip_modules
    )
    with undisturbed(), torch.no_grad():  # unpacked weights outlive it
        model(input_ids=torch.zeros((1, 1), dtype=torch.int64, device=model.device))
    return with_digests(stored, model, plain, canonical=DTYPES[native_precision(source)])


def _is_packed(model: PreTrainedModel) -> bool:
    """Return whether layers of a library other than bitsandbytes still hold packed integers."""
    return any(
        not tensor.is_floating_point() and tensor.ndim > 1
        for module in model.modules()
        if not type(module).__module__.startswith(_BITSANDBYTES)
        for tensor in module.parameters(recurse=False)
    )

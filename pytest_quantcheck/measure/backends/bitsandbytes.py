"""Variants of bitsandbytes, quantized while they are loaded: LLM.int8, NF4 and FP4."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch

from pytest_quantcheck.errors import BackendUnavailable, UsageError
from pytest_quantcheck.measure.backends.adapters import attach_adapter
from pytest_quantcheck.measure.backends.footprint import quantized_bytes
from pytest_quantcheck.measure.backends.keeping import open_quantized
from pytest_quantcheck.measure.backends.kinds import in_memory, is_classifier
from pytest_quantcheck.measure.backends.loading import (
    open_config,
    skeleton,
    upcast_to_float32,
)
from pytest_quantcheck.measure.backends.transformers import DTYPES
from pytest_quantcheck.measure.engine.llm_int8.layers import separate_sequences
from pytest_quantcheck.measure.engine.weights import (
    classification_heads,
    matches,
    read_weights,
)
from pytest_quantcheck.measure.reference import native_precision

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from pytest_quantcheck.core.variant import Variant
    from pytest_quantcheck.measure.engine.causal import CausalModel
    from pytest_quantcheck.measure.engine.classification import ClassificationModel
    from pytest_quantcheck.measure.protocols import ModelSource

_OUTLIER_THRESHOLD = 6.0
"""Activations at least this large are multiplied in 16 bits, as LLM.int8 was published."""
_REPACKS = "support_avx512bf16_for_cpu"
"""Switch of a 4-bit layer."""
INT8_ON_BF16 = (
    "LLM.int8 casts to float16, and this checkpoint is at home in bfloat16, whose larger values "
    "float16 does not hold: a matter of configuration and no regression; give int4 instead of int8"
)
"""What to say where logits of such a variant are not finite."""


class BitsandbytesBackend:
    """Quantizes checkpoints while they are loaded.

    Notes
    -----
    LLM.int8 runs in float16 on a CUDA device, 4 bits in the checkpoint's own 16-bit dtype. A CPU
    computes in float32, with everything unquantized rounded to the same 16-bit dtype before.
    """

    def load(self, variant: Variant, source: ModelSource) -> CausalModel | ClassificationModel:
        """Return the variant in memory.

        Raises
        ------
        BackendUnavailable
            A package or device is missing.
        UsageError
            The model cannot be loaded as asked.
        """
        _check_packages(variant)
        native = native_precision(source.of(variant))
        is_int8 = variant.precision == "int8"
        dtype = torch.float16 if is_int8 else DTYPES[native]
        compute = _compute_dtype(variant, source, dtype)
        config = _config(variant, source.of(variant), compute)
        opened = open_quantized(variant, source, dtype=dtype, config=config)
        weights = read_weights(
            opened.model,
            declared_bytes=dtype.itemsize,
            canonical=DTYPES[native_precision(source)],
            skipped=variant.skip_modules,
        )
        weights = attach_adapter(opened.model, source, weights, dtype=dtype)
        if source.device == "cpu":
            compute_in_float32(opened.model)
        if is_int8:
            separate_sequences(opened.model)
        return in_memory(
            opened,
            weights,
            compute=compute,
            overflow_note=INT8_ON_BF16 if is_int8 and native == "bf16" else "",
        )

    def estimate_bytes(self, variant: Variant, source: ModelSource) -> int:
        """Return about how many bytes the loaded variant takes, without loading it."""
        on_cpu = source.device == "cpu"
        other_bytes = torch.float32.itemsize if on_cpu else torch.float16.itemsize
        return quantized_bytes(skeleton(source.of(variant)), variant, other_bytes=other_bytes)


def _check_packages(variant: Variant) -> None:
    for package in ("bitsandbytes", "accelerate"):
        if find_spec(package) is None:
            raise BackendUnavailable(
                f"variant {variant.label} needs {package}, which is not installed: "
                f"pip install {package}"
            )


def _compute_dtype(variant: Variant, source: ModelSource, dtype: torch.dtype) -> torch.dtype:
    """Return what 4-bit layers compute in: float32 on a CPU, else as declared, else `dtype`."""
    if source.device == "cpu":
        return torch.float32
    declared = dict(variant.options).get("bnb_4bit_compute_dtype")
    return getattr(torch, str(declared)) if declared else dtype


def _config(variant: Variant, source: ModelSource, compute: torch.dtype) -> object:
    import transformers

    create: Any = transformers.BitsAndBytesConfig
    chosen: dict[str, Any] = {"llm_int8_skip_modules": _skipped(variant, source)}
    if variant.precision == "int8":
        chosen |= {"load_in_8bit": True, "llm_int8_threshold": _OUTLIER_THRESHOLD}
    else:
        chosen |= {"load_in_4bit": True, "bnb_4bit_quant_type": variant.precision}
    chosen |= dict(variant.options)
    if variant.precision != "int8":
        chosen["bnb_4bit_compute_dtype"] = compute
    return create(**chosen)


def _skipped(variant: Variant, source: ModelSource) -> list[str] | None:
    """Return the modules to leave, the head among them; None for a language model's head alone.

    A list replaces the default of transformers, so that naming one module would quantize the
    head; and the default knows no classification heads.
    """
    if not variant.skip_modules and not is_classifier(open_config(source)):
        return None
    model = skeleton(source)
    heads = classification_heads(model)
    from transformers.quantizers.base import HfQuantizer

    names = [name for name, _ in model.named_modules() if name]
    for asked in variant.skip_modules:
        if not any(matches(name, (asked,)) for name in names):
            raise UsageError(
                f"variant {variant.label}: skip_modules names {asked!r}, and {source.model} has no "
                f"such module; expected a dotted name such as {names[-1]!r}, or its last part"
            )
    chosen = [name for name in names if matches(name, (*variant.skip_modules, *heads))]
    return list(HfQuantizer.get_modules_to_not_convert(model, chosen, None, add_default_skips=True))


def compute_in_float32(model: PreTrainedModel) -> None:
    """Upcast, and keep 4-bit layers from repacking themselves for bfloat16 kernels.

    On a CPU with AVX512-BF16, bitsandbytes would convert weights, scales and inputs to bfloat16
    at the first forward pass: scores would depend on the machine, and layers whose output is no
    multiple of 32 would fail.
    """
    upcast_to_float32(model)
    for module in model.modules():
        if hasattr(module, _REPACKS):
            setattr(module, _REPACKS, False)

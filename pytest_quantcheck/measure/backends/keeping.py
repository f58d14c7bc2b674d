"""Quantizing a checkpoint, or reading what an earlier run made of it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pytest_quantcheck.measure.backends.access import snapshot_of, weight_files_bytes
from pytest_quantcheck.measure.backends.loading import Opened, open_checkpoint
from pytest_quantcheck.measure.engine.undisturbed import undisturbed

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from pytest_quantcheck.core.fingerprint import Plain
    from pytest_quantcheck.core.variant import Variant
    from pytest_quantcheck.measure.protocols import ModelSource

_DECIDES = ("torch", "transformers", "bitsandbytes")
"""Packages that quantize, or write and read the result."""
_SHARD = "1GB"
"""Several files are read and checked side by side."""


def open_quantized(
    variant: Variant, source: ModelSource, *, dtype: torch.dtype, config: object
) -> Opened:
    """Load the weights of a model quantized, from where they are kept if they are.

    Parameters
    ----------
    variant : Variant
        Named in errors.
    source : ModelSource
        The model under test, where it goes, and where quantized weights are kept.
    dtype : torch.dtype
        Of everything that is not quantized.
    config : transformers quantization config
        How weights are quantized.

    Raises
    ------
    BackendUnavailable, UsageError
        As for `open_checkpoint`.
    """
    make = partial(open_checkpoint, variant, source, dtype=dtype, quantization=config)
    identity = _identity(variant, source, dtype=dtype, config=config)
    if source.quantized is None or identity is None:
        return make()
    opened = source.quantized.get(
        identity, read=lambda folder: make(kept=folder), make=make, save=_save
    )
    # Where it was quantized just now, what later runs read counts.
    entry = source.quantized.entry(identity)
    return replace(opened, disk_bytes=weight_files_bytes(entry)) if entry else opened


def _identity(
    variant: Variant,
    source: ModelSource,
    *,
    dtype: torch.dtype,
    config: Any,  # noqa: ANN401 - transformers' own
) -> Plain:
    """Return everything that decides the quantized weights; None where they are not kept.

    A checkpoint that brings code is not: what the code does has no digest. Nor is what an adapter
    was merged into, what is quantized in the forward pass only, or a checkpoint that this machine
    has not got yet.
    """
    is_merged = source.adapter is not None and source.merges_adapter
    is_late = bool(config.llm_int8_has_fp16_weight)
    if source.quantized is None or source.trust_remote_code or is_merged or is_late:
        return None
    folder = snapshot_of(source.of(variant))
    weights = None if folder is None else source.quantized.weights_digest(folder)
    if weights is None:
        return None
    return {
        "weights": weights,
        "quantization": config.to_json_string(),
        "dtype": str(dtype),
        "device": source.device.partition(":")[0],
        "versions": {package: version(package) for package in _DECIDES},
    }


def _save(opened: Opened, folder: Path) -> None:
    with undisturbed():
        opened.model.save_pretrained(folder, max_shard_size=_SHARD)

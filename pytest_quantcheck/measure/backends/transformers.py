"""Unquantized variants: fp16, bf16 and fp32."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from pytest_quantcheck.measure.backends.adapters import attach_adapter
from pytest_quantcheck.measure.backends.kinds import in_memory
from pytest_quantcheck.measure.backends.loading import (
    open_checkpoint,
    skeleton,
    upcast_to_float32,
)
from pytest_quantcheck.measure.engine.weights import read_weights
from pytest_quantcheck.measure.reference import native_precision

if TYPE_CHECKING:
    from pytest_quantcheck.core.variant import Variant
    from pytest_quantcheck.measure.engine.causal import CausalModel
    from pytest_quantcheck.measure.engine.classification import ClassificationModel
    from pytest_quantcheck.measure.protocols import ModelSource

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}
"""What each unquantized precision is called in torch."""


class TransformersBackend:
    """Loads checkpoints as they are, rounded to the declared dtype.

    Notes
    -----
    A CUDA device computes in the declared dtype. A CPU computes in float32 on the rounded values:
    its 16-bit kernels are slow, and differ between machines.
    """

    def load(self, variant: Variant, source: ModelSource) -> CausalModel | ClassificationModel:
        """Return the variant in memory.

        Raises
        ------
        BackendUnavailable
            There is no such device.
        UsageError
            The model cannot be loaded as asked.
        """
        dtype = DTYPES[variant.precision]
        canonical = DTYPES[native_precision(source)]
        on_cpu = source.device == "cpu"
        opened = open_checkpoint(variant, source, dtype=dtype)
        weights = read_weights(
            opened.model,
            declared_bytes=dtype.itemsize,
            canonical=canonical,
            skipped=variant.skip_modules,
        )
        weights = attach_adapter(opened.model, source, weights, dtype=dtype)
        if on_cpu:
            upcast_to_float32(opened.model)
        return in_memory(opened, weights, compute=torch.float32 if on_cpu else dtype)

    def estimate_bytes(self, variant: Variant, source: ModelSource) -> int:
        """Return about how many bytes the loaded variant takes, without loading it."""
        dtype = torch.float32 if source.device == "cpu" else DTYPES[variant.precision]
        return skeleton(source.of(variant)).num_parameters() * dtype.itemsize

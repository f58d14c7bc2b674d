"""Which class of transformers loads a checkpoint, and what to make of the model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import transformers

from pytest_quantcheck.measure.engine.causal import CausalModel
from pytest_quantcheck.measure.engine.classification import ClassificationModel
from pytest_quantcheck.measure.engine.loaded import Loaded
from pytest_quantcheck.measure.engine.weights import CLASSIFIER

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig

    from pytest_quantcheck.measure.backends.loading import Opened
    from pytest_quantcheck.measure.protocols import Weights


def is_classifier(config: PreTrainedConfig) -> bool:
    """Return whether a checkpoint says that it is one for sequence classification."""
    return any(name.endswith(CLASSIFIER) for name in config.architectures or ())


def model_class(config: PreTrainedConfig) -> Any:  # noqa: ANN401 - partly untyped in transformers
    """Return the class that loads a checkpoint: of a causal model, unless it says otherwise."""
    if is_classifier(config):
        return transformers.AutoModelForSequenceClassification
    return transformers.AutoModelForCausalLM


def in_memory(
    opened: Opened, weights: Weights, *, compute: torch.dtype, overflow_note: str = ""
) -> CausalModel | ClassificationModel:
    """Return an opened checkpoint as a model that can be asked.

    Parameters
    ----------
    opened : Opened
        Its model is ready to compute.
    weights : Weights
        What its tensors said before that.
    compute : torch.dtype
        What it computes in.
    overflow_note : str
        What to say besides when logits are not finite.
    """
    loaded = Loaded(
        model=opened.model,
        tokenizer=opened.tokenizer,
        device=opened.device,
        compute_dtype=str(compute).removeprefix("torch."),
        weights=replace(weights, revision=opened.revision),
        disk_bytes=opened.disk_bytes,
        overflow_note=overflow_note,
    )
    if type(loaded.model).__name__.endswith(CLASSIFIER):
        return ClassificationModel(loaded)
    return CausalModel(loaded)

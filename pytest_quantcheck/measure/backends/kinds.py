"""Which class of transformers loads a checkpoint, and what to make of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import transformers

from pytest_quantcheck.measure.engine.causal import CausalModel
from pytest_quantcheck.measure.engine.classification import ClassificationModel
from pytest_quantcheck.measure.engine.weights import CLASSIFIER

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

    from pytest_quantcheck.measure.engine.loaded import Loaded


def is_classifier(config: PreTrainedConfig) -> bool:
    """Return whether a checkpoint says that it is one for sequence classification."""
    return any(name.endswith(CLASSIFIER) for name in config.architectures or ())


def model_class(config: PreTrainedConfig) -> Any:  # noqa: ANN401 - partly untyped in transformers
    """Return the class that loads a checkpoint: of a causal model, unless it says otherwise."""
    if is_classifier(config):
        return transformers.AutoModelForSequenceClassification
    return transformers.AutoModelForCausalLM


def in_memory(loaded: Loaded) -> CausalModel | ClassificationModel:
    """Return a loaded model as what it is."""
    if type(loaded.model).__name__.endswith(CLASSIFIER):
        return ClassificationModel(loaded)
    return CausalModel(loaded)

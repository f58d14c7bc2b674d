"""Which architectures decode rows of different lengths, and what must be known of them."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantcheck.measure.engine.llm_int8.layers import has_int8_layers
from pytest_quantcheck.measure.engine.rotary import growing_rotations
from pytest_quantcheck.measure.engine.spread import n_devices

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

_FULL, _SLIDING = "full_attention", "sliding_attention"
_TAKEN = {"attention_mask", "position_ids", "past_key_values", "use_cache"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What must be known of an architecture to decode rows of different lengths."""

    windows: dict[str, int | None]
    """Kinds of attention layers, each with how many tokens it looks back; None is all."""
    additive: torch.dtype | None
    """Of masks that are added to scores; None where masks say what is seen."""
    pads: bool
    """Whether tokens behind a prompt are no concern of it: not so in LLM.int8, whose outlier
    columns are those of the whole sequence."""
    captures: bool = False
    """Whether steps are replayed as a CUDA graph."""
    token_bytes: int = 1
    """Of the keys and values of one token, once they were seen."""


def layout_of(model: PreTrainedModel) -> Layout | None:
    """Return how `model` can be decoded row by row; None if its kind is not known to allow it.

    Allowed is what attends to cached keys through a mask and to positions it is told.
    """
    config = model.config.get_text_config()
    implementation = getattr(model.config, "_attn_implementation", None)
    windows = _windows(config)
    if (
        not set(inspect.signature(model.forward).parameters) >= _TAKEN
        or getattr(model, "_is_stateful", False)
        or getattr(model.config, "is_encoder_decoder", False)
        or implementation not in {"sdpa", "eager"}
        or not windows
        or n_devices(model) > 1
        or any(growing_rotations(config))
    ):
        return None
    weight: torch.Tensor = model.get_input_embeddings().weight  # type: ignore[assignment]
    return Layout(
        windows=windows,
        additive=weight.dtype if implementation == "eager" else None,
        pads=not has_int8_layers(model),
    )


def _windows(config: object) -> dict[str, int | None]:
    """Return each kind of layer with its window; nothing where a kind is not known."""
    window = getattr(config, "sliding_window", None)
    default = _FULL if window is None else _SLIDING
    kinds = dict.fromkeys(getattr(config, "layer_types", None) or [default])
    if not kinds.keys() <= {_FULL, _SLIDING}:
        return {}
    if _SLIDING in kinds and not isinstance(window, int):
        return {}
    return {kind: window if kind == _SLIDING else None for kind in kinds}

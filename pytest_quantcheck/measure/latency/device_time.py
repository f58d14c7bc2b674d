"""How long the device needs for a request batch when it never waits for the host."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch
from transformers import DynamicCache

from pytest_quantcheck.measure.engine.llm_int8.layers import is_llm_int8
from pytest_quantcheck.measure.engine.replay import graphed
from pytest_quantcheck.measure.latency.timers import replay_seconds

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from pytest_quantcheck.measure.latency.compiled import Compiled
    from pytest_quantcheck.measure.latency.protocols import Shape


@torch.inference_mode()
def compiled_device_seconds(way: Compiled, shape: Shape, device: str) -> float:
    """Return what graphs that are there take: the prefill, and a step for each further token."""
    prefill = replay_seconds(way.prefill, device)
    return prefill + (shape.new_tokens - 1) * replay_seconds(way.step, device)


def eager_device_seconds(model: PreTrainedModel, device: str, shape: Shape) -> float | None:
    """Return what the passes of plain generate take once nothing waits for the host.

    Returns
    -------
    float or None
        None where they cannot be captured: layers wait for the host themselves, memory is short,
        or something else than keys and values is cached.
    """
    if is_llm_int8(model):
        return None
    try:
        with torch.inference_mode():
            passes = _Passes(model, device, shape)
            prefill = replay_seconds(graphed(passes.prefill, device), device)
            if shape.new_tokens == 1:
                return prefill
            step = replay_seconds(graphed(passes.step, device), device)
    except (RuntimeError, TypeError, AttributeError):  # out of memory is a RuntimeError
        return None
    return prefill + (shape.new_tokens - 1) * step


class _Passes:
    """The passes that generate makes, one by one."""

    def __init__(self, model: PreTrainedModel, device: str, shape: Shape) -> None:
        self._model = model
        self._inputs = torch.tensor(shape.prompts, device=device)
        self._cache: Any = None
        accepted = inspect.signature(model.forward).parameters
        self._head = {"logits_to_keep": 1} if "logits_to_keep" in accepted else {}
        self._read: list[object] = []

    def prefill(self) -> None:
        """Read the prompts into a new cache."""
        self._cache = DynamicCache(config=self._model.config)
        self._forward(self._inputs)

    def step(self) -> None:
        """Read one more token of each row."""
        # A graph reads the memory it was captured with, which must not be given to others.
        self._read.extend((layer.keys, layer.values) for layer in self._cache.layers)
        self._forward(self._inputs[:, :1])

    def _forward(self, tokens: torch.Tensor) -> None:
        logits = self._model(
            input_ids=tokens, past_key_values=self._cache, use_cache=True, **self._head
        ).logits
        logits[:, -1].float().argmax(dim=-1)

"""Plain generate of transformers: a growing cache, and the host launches every kernel."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import torch
from transformers import StoppingCriteria

from pytest_quantcheck.measure.engine.equal_lengths import greedy_settings
from pytest_quantcheck.measure.engine.llm_int8.layers import as_published
from pytest_quantcheck.measure.latency.tensors import tensor_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import PreTrainedModel

    from pytest_quantcheck.measure.latency.protocols import Shape


_CACHES = ("past_key_values", "cache_params")
"""Where architectures keep what they know of a sequence."""


class _FirstToken(StoppingCriteria):
    """A criterion that stops nothing and tells when the first token is there."""

    def __init__(self, tell: Callable[[], None], like: torch.Tensor) -> None:
        self._tell: Callable[[], None] | None = tell
        self._never = torch.zeros(len(like), dtype=torch.bool, device=like.device)

    def __call__(self, *_: Any, **__: Any) -> torch.Tensor:  # noqa: ANN401 - as it is called
        """Return that no row has ended."""
        if self._tell is not None:
            self._tell()
            self._tell = None
        return self._never


class Eager:
    """`model.generate` on one shape: greedy, a dynamic cache, no token ends a sequence.

    Parameters
    ----------
    model : PreTrainedModel
        A causal language model in evaluation mode.
    device : str
        Where its inputs go.
    shape : Shape
        Prompts of equal length, and how many tokens each gets.
    """

    mode = "eager"

    def __init__(self, model: PreTrainedModel, device: str, shape: Shape) -> None:
        self._model = model
        self._device = device
        self._new_tokens = shape.new_tokens
        self._inputs = torch.tensor(shape.prompts, device=device)
        self._mask = torch.ones_like(self._inputs)

    def serve(self, first_token: Callable[[], None]) -> torch.Tensor:
        """Return the new tokens (b, n); tell when the first of each row is there."""
        whole: torch.Tensor = self._generate(first_token)
        return whole[:, self._inputs.shape[1] :]

    def cache_bytes(self) -> int:
        """Return what keys and values, or whatever else is kept of a sequence, take at the end."""
        found = self._generate(lambda: None, return_dict_in_generate=True)
        return sum(tensor_bytes(found.get(name), self._device) for name in _CACHES)

    def close(self) -> None:
        """Keep nothing: generate gives back what it took."""

    def _generate(self, first_token: Callable[[], None], **options: bool) -> Any:  # noqa: ANN401 - of many types
        with ExitStack() as stack:
            stack.enter_context(as_published(self._model))
            config = stack.enter_context(greedy_settings(self._model, self._new_tokens, ()))
            return self._model.generate(  # type: ignore[operator]  # a mixin's method
                input_ids=self._inputs,
                attention_mask=self._mask,
                generation_config=config,
                stopping_criteria=[_FirstToken(first_token, self._inputs)],
                **options,
            )

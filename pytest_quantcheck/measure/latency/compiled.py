"""Prefill and decode step as CUDA graphs over a static cache: the host launches two things."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import torch

from pytest_quantcheck.measure.engine.llm_int8.layers import is_llm_int8
from pytest_quantcheck.measure.engine.replay import graphed
from pytest_quantcheck.measure.engine.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import PreTrainedModel

    from pytest_quantcheck.measure.engine.layout import Layout
    from pytest_quantcheck.measure.latency.protocols import Shape

    Capture: TypeAlias = Callable[[Callable[[], None]], Callable[[], None]]
    """Does some work, and returns what does the same again."""

_SPARE = 4
"""Columns behind the last token, into which steps write while they are captured and timed."""


def capture_on(device: str) -> Capture | None:
    """Return what makes graphs on a device; None where there are none."""
    return partial(graphed, device=device) if device.startswith("cuda") else None


def obstacle(model: PreTrainedModel, layout: Layout | None) -> str:
    """Return why a model cannot be captured; empty where it may."""
    if is_llm_int8(model):
        return (
            "LLM.int8 waits for the host in every layer to see where outliers are, which a CUDA "
            "graph cannot hold"
        )
    if layout is None:
        return f"{type(model).__name__} does not decode with a static cache of keys and values"
    return ""


class Compiled:
    """A static cache of one shape, and graphs of its prefill and of one decode step.

    Parameters
    ----------
    model : PreTrainedModel
        A causal language model in evaluation mode.
    layout : Layout
        How it is decoded with masks and positions that are passed in.
    device : str
        Where its inputs go.
    shape : Shape
        Prompts of equal length, and how many tokens each gets.
    capture : callable
        Makes a graph.

    Raises
    ------
    RuntimeError
        Something in the model waits for the host.

    Notes
    -----
    The next token is chosen on the device, and the host looks at none before the last.
    """

    mode = "compiled"

    @torch.inference_mode()
    def __init__(
        self,
        model: PreTrainedModel,
        layout: Layout,
        device: str,
        shape: Shape,
        *,
        capture: Capture,
    ) -> None:
        self._new_tokens = shape.new_tokens
        self._inputs = torch.tensor(shape.prompts, device=device)
        rows, self._length = self._inputs.shape
        self._numbers = torch.arange(rows, device=device)
        self._last = torch.full_like(self._numbers, self._length - 1)
        self._tokens, self._positions = (torch.zeros_like(self._numbers) for _ in range(2))
        self._found = self._inputs.new_zeros(rows, shape.new_tokens + _SPARE)
        self._rows = Rows(
            model,
            replace(layout, captures=False),
            device,
            rows=rows,
            columns=self._length + shape.new_tokens + _SPARE,
        )
        self.prefill = capture(self._prefill)
        self.prefill()
        self.step = capture(self._step)

    @torch.inference_mode()
    def serve(self, first_token: Callable[[], None]) -> torch.Tensor:
        """Return the new tokens (b, n); tell when the first of each row is there."""
        self.prefill()
        first_token()
        for _ in range(self._new_tokens - 1):
            self.step()
        return self._found[:, : self._new_tokens].clone()

    def cache_bytes(self) -> int:
        """Return what keys and values take."""
        return self._rows.cache_bytes

    def close(self) -> None:
        """Give back cache and graphs."""
        del self._rows, self.prefill, self.step

    def _prefill(self) -> None:
        logits = self._rows.read(self._numbers, self._inputs, self._last)
        self._tokens.copy_(logits.argmax(dim=-1))
        self._positions.fill_(self._length)
        self._found[:, 0] = self._tokens

    def _step(self) -> None:
        logits = self._rows.step(self._tokens, self._positions, self._rows.columns - 1)
        self._tokens.copy_(logits.argmax(dim=-1))
        self._positions.add_(1)
        written = self._positions - self._length
        self._found.scatter_(1, written[:, None], self._tokens[:, None])

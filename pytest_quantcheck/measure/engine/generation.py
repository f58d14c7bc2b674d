"""Greedy continuations: the model's own generate, without anything its checkpoint brings."""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from transformers import GenerationConfig

from pytest_quantcheck.core.quantity import format_count
from pytest_quantcheck.errors import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from transformers import PreTrainedModel

    from pytest_quantcheck.measure.protocols import Advance

_MOST_PROMPTS = 64


@dataclass(slots=True)
class _FiniteGuard:
    """A logits processor that changes nothing and remembers which rows were not finite."""

    broken: torch.Tensor | None = field(default=None)
    """(b,) bool."""

    def __call__(self, _tokens: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """Look at the logits (b, v) of one step."""
        found = ~logits.amax(dim=-1).isfinite()
        self.broken = found if self.broken is None else self.broken | found
        return logits


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuations:
    """Greedy continuations of prompts."""

    tokens: tuple[tuple[int, ...], ...]
    """(n,) without the end-of-sequence token."""
    broken: int | None
    """Index of the first prompt whose logits were NaN or infinite."""


class Generator:
    """Continues prompts on one model.

    Parameters
    ----------
    model : PreTrainedModel
        A causal language model in evaluation mode.
    device : str
        Where its inputs go.
    ends : tuple of int
        Tokens that end a sequence.
    batch_tokens : int
        Most tokens of one batch, prompts and continuations together.
    """

    def __init__(
        self, model: PreTrainedModel, device: str, *, ends: tuple[int, ...], batch_tokens: int
    ) -> None:
        self._model = model
        self._device = device
        self._ends = ends
        self._batch_tokens = batch_tokens

    def generate(
        self, prompts: Sequence[Sequence[int]], max_new_tokens: int, advance: Advance | None
    ) -> Continuations:
        """Return the greedy continuation of each prompt.

        Raises
        ------
        MeasurementError
            A single prompt does not fit into the memory of the device.
        """
        owners: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for index, prompt in enumerate(prompts):
            owners[tuple(prompt)].append(index)
        results: dict[int, tuple[int, ...]] = {}
        broken: list[int] = []
        tokens = 0
        for batch in self._batches(list(owners), max_new_tokens):
            for prompt, (new, finite) in zip(batch, self._run(batch, max_new_tokens), strict=True):
                results.update(dict.fromkeys(owners[prompt], new))
                broken.extend([] if finite else owners[prompt])
                tokens += len(prompt) + len(new)
            if advance:
                advance(len(results), tokens)
        return Continuations(
            tokens=tuple(results[index] for index in range(len(prompts))),
            broken=min(broken, default=None),
        )

    def _batches(
        self, prompts: list[tuple[int, ...]], max_new_tokens: int
    ) -> Iterator[list[tuple[int, ...]]]:
        """Yield prompts of equal length, so that none needs padding or a mask."""
        groups: dict[int, list[tuple[int, ...]]] = defaultdict(list)
        for prompt in prompts:
            groups[len(prompt)].append(prompt)
        for length in sorted(groups, reverse=True):
            fitting = max(1, self._batch_tokens // (length + max_new_tokens))
            size = min(fitting, _MOST_PROMPTS)
            members = sorted(groups[length])
            for start in range(0, len(members), size):
                yield members[start : start + size]

    def _run(
        self, batch: list[tuple[int, ...]], max_new_tokens: int
    ) -> list[tuple[tuple[int, ...], bool]]:
        """Return (continuation, whether its logits were finite); in halves if memory runs out."""
        found = self._attempt(batch, max_new_tokens)
        if found is not None:
            return found
        # The failed pass has left the stack here: its tensors can really be given back.
        torch.cuda.empty_cache()
        if len(batch) == 1:
            raise MeasurementError(
                f"out of memory on {self._device}: a prompt of {format_count(len(batch[0]))} "
                f"tokens with {format_count(max_new_tokens)} new ones does not fit beside the "
                "weights; shorten the prompts, lower max_new_tokens, or free memory on the device"
            )
        middle = len(batch) // 2
        return [
            *self._run(batch[:middle], max_new_tokens),
            *self._run(batch[middle:], max_new_tokens),
        ]

    def _attempt(
        self, batch: list[tuple[int, ...]], max_new_tokens: int
    ) -> list[tuple[tuple[int, ...], bool]] | None:
        try:
            inputs = torch.tensor(batch, device=self._device)
            guard = _FiniteGuard()
            with self._greedy(max_new_tokens) as config:
                outputs = self._model.generate(  # type: ignore[operator]  # a mixin's method
                    input_ids=inputs,
                    attention_mask=torch.ones_like(inputs),
                    generation_config=config,
                    logits_processor=[guard],
                )
            rows = outputs[:, inputs.shape[1] :].tolist()
            broken = [False] * len(batch) if guard.broken is None else guard.broken.tolist()
        except torch.OutOfMemoryError:
            return None
        return [(self._before_end(row), not bad) for row, bad in zip(rows, broken, strict=True)]

    @contextmanager
    def _greedy(self, max_new_tokens: int) -> Iterator[GenerationConfig]:
        """Replace the model's own settings: what a call leaves open is taken from there."""
        config = GenerationConfig(  # type: ignore[no-untyped-call]
            do_sample=False,
            num_beams=1,
            max_new_tokens=max_new_tokens,
            eos_token_id=list(self._ends) or None,
            pad_token_id=self._ends[0] if self._ends else 0,
        )
        own = self._model.generation_config
        self._model.generation_config = config
        try:
            yield config
        finally:
            self._model.generation_config = own

    def _before_end(self, tokens: list[int]) -> tuple[int, ...]:
        stop = next((i for i, token in enumerate(tokens) if token in self._ends), len(tokens))
        return tuple(tokens[:stop])

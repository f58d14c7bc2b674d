"""Continuations: the model's own generate, without anything its checkpoint brings."""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from transformers import GenerationConfig

from pytest_quantcheck.core.quantity import format_count
from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.measure.engine.plan import PackTooLargeError
from pytest_quantcheck.measure.engine.sampling import Sampler
from pytest_quantcheck.measure.engine.stopping import StopStrings, first_stop
from pytest_quantcheck.measure.protocols import Continuation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from transformers import PreTrainedModel

    from pytest_quantcheck.measure.protocols import Advance
    from pytest_quantcheck.workloads.decoding import Decoding

_MOST = 64
"""Prompts of one batch."""


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
    """What a model wrote after prompts."""

    found: tuple[Continuation, ...]
    """(n,)"""
    broken: int | None
    """Index of the first prompt whose logits were NaN or infinite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """One sequence to continue."""

    prompt: tuple[int, ...]
    stream: int


class Generator:
    """Continues prompts on one model.

    Parameters
    ----------
    model : PreTrainedModel
        A causal language model in evaluation mode.
    device : str
        Where its inputs go.
    decode : callable
        Returns the text of tokens.
    ends : tuple of int
        Tokens that end a sequence.
    batch_tokens : int
        Most tokens of one batch, prompts and continuations together.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        device: str,
        *,
        decode: Callable[[Sequence[int]], str],
        ends: tuple[int, ...],
        batch_tokens: int,
    ) -> None:
        self._model = model
        self._device = device
        self._decode = decode
        self._ends = ends
        self._batch_tokens = batch_tokens

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        decoding: Decoding,
        *,
        streams: Sequence[int] = (),
        advance: Advance | None = None,
        sequences: int | None = None,
    ) -> Continuations:
        """Return the continuation of each prompt.

        Parameters
        ----------
        prompts : sequence of sequence of int
            Tokens.
        decoding : Decoding
            How they are continued.
        streams : sequence of int
            For each prompt, which random numbers it is sampled with.
        advance : callable, optional
            Told of every batch.
        sequences : int, optional
            Most sequences of a batch.

        Raises
        ------
        PackTooLargeError
            A batch of several prompts does not fit into the memory of the device.
        MeasurementError
            A single prompt does not fit.
        """
        owners: dict[_Asked, list[int]] = defaultdict(list)
        for index, prompt in enumerate(prompts):
            stream = streams[index] if streams else 0
            owners[_Asked(prompt=tuple(prompt), stream=stream)].append(index)
        results: dict[int, Continuation] = {}
        broken: list[int] = []
        tokens = 0
        for batch in self._batches(list(owners), decoding, min(sequences or _MOST, _MOST)):
            for asked, (new, finite) in zip(batch, self._run(batch, decoding), strict=True):
                results.update(dict.fromkeys(owners[asked], new))
                broken.extend([] if finite else owners[asked])
                tokens += len(asked.prompt) + len(new.tokens)
            if advance:
                advance(len(results), tokens)
        return Continuations(
            found=tuple(results[index] for index in range(len(prompts))),
            broken=min(broken, default=None),
        )

    def _batches(
        self, asked: list[_Asked], decoding: Decoding, most: int
    ) -> Iterator[list[_Asked]]:
        """Yield prompts of equal length, so that none needs padding or a mask."""
        groups: dict[int, list[_Asked]] = defaultdict(list)
        for one in asked:
            groups[len(one.prompt)].append(one)
        for length in sorted(groups, reverse=True):
            fitting = max(1, self._batch_tokens // (length + decoding.max_new_tokens))
            size = min(fitting, most)
            members = sorted(groups[length], key=lambda one: (one.prompt, one.stream))
            for start in range(0, len(members), size):
                yield members[start : start + size]

    def _run(self, batch: list[_Asked], decoding: Decoding) -> list[tuple[Continuation, bool]]:
        """Return (continuation, whether its logits were finite) for each prompt."""
        found = self._attempt(batch, decoding)
        if found is not None:
            return found
        if len(batch) > 1:
            raise PackTooLargeError(len(batch))
        raise MeasurementError(
            f"out of memory on {self._device}: a prompt of {format_count(len(batch[0].prompt))} "
            f"tokens with {format_count(decoding.max_new_tokens)} new ones does not fit beside "
            "the weights; shorten the prompts, lower max_new_tokens, or free memory on the device"
        )

    def _attempt(
        self, batch: list[_Asked], decoding: Decoding
    ) -> list[tuple[Continuation, bool]] | None:
        """Return what `_run` does, or None if memory ran out."""
        guard = _FiniteGuard()
        stopping = StopStrings(
            decoding.stop,
            decode=self._decode,
            prompt_tokens=len(batch[0].prompt),
            ends=self._ends,
        )
        try:
            inputs = torch.tensor([one.prompt for one in batch], device=self._device)
            processors: list[object] = [guard]
            if decoding.temperature is not None:
                streams = [one.stream for one in batch]
                processors.append(Sampler(decoding, streams, self._device))
            with self._settings(decoding.max_new_tokens) as config:
                outputs = self._model.generate(  # type: ignore[operator]  # a mixin's method
                    input_ids=inputs,
                    attention_mask=torch.ones_like(inputs),
                    generation_config=config,
                    logits_processor=processors,
                    stopping_criteria=[stopping] if decoding.stop else [],
                )
            rows = outputs[:, inputs.shape[1] :].tolist()
            broken = [False] * len(batch) if guard.broken is None else guard.broken.tolist()
        except torch.OutOfMemoryError:
            return None
        return [
            (self._continuation(row, stopping.lengths.get(index), decoding), not bad)
            for index, (row, bad) in enumerate(zip(rows, broken, strict=True))
        ]

    @contextmanager
    def _settings(self, max_new_tokens: int) -> Iterator[GenerationConfig]:
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

    def _continuation(
        self, row: list[int], stopped: int | None, decoding: Decoding
    ) -> Continuation:
        """Return what stands in a row up to where it ended; `stopped` is the length at a stop."""
        whole = row if stopped is None else row[:stopped]
        end = next((i for i, token in enumerate(whole) if token in self._ends), None)
        tokens = tuple(whole[:end])
        text = self._decode(tokens)
        return Continuation(
            tokens=tokens,
            text=text[: first_stop(text, decoding.stop)],
            is_truncated=end is None and stopped is None,
        )

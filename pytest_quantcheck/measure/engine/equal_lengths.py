"""Continuations by the model's own generate, in batches of prompts of equal length."""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from transformers import GenerationConfig

from pytest_quantcheck.measure.engine.outputs import Answered, out_of_memory
from pytest_quantcheck.measure.engine.sampling import SamplingProcessor
from pytest_quantcheck.measure.engine.stopping import StopStrings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from transformers import PreTrainedModel

    from pytest_quantcheck.measure.engine.outputs import Asked, Ending
    from pytest_quantcheck.workloads.decoding import Decoding


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


class EqualLengths:
    """Continues prompts in batches that need neither padding nor a mask.

    For architectures that keep something other than keys and values, or whose positions depend on
    the batch.

    Parameters
    ----------
    model : PreTrainedModel
        A causal language model in evaluation mode.
    device : str
        Where its inputs go.
    ending : Ending
        What ends an output.
    batch_tokens : int
        Most tokens of one batch, prompts and continuations together.
    """

    def __init__(
        self, model: PreTrainedModel, device: str, *, ending: Ending, batch_tokens: int
    ) -> None:
        self._model = model
        self._device = device
        self._ending = ending
        self._batch_tokens = batch_tokens

    def run(
        self, asked: Sequence[Asked], decoding: Decoding, most: int
    ) -> Iterator[list[Answered]]:
        """Yield the answers of each batch, of at most `most` prompts.

        Raises
        ------
        PackTooLargeError
            A batch of several prompts does not fit into the memory of the device.
        MeasurementError
            A single prompt does not fit.
        """
        for batch in self._batches(asked, decoding, most):
            found = self._attempt(batch, decoding)
            if found is None:
                raise out_of_memory(batch, len(batch), decoding, self._device)
            yield found

    def _batches(
        self, asked: Sequence[Asked], decoding: Decoding, most: int
    ) -> Iterator[list[Asked]]:
        groups: dict[int, list[Asked]] = defaultdict(list)
        for one in asked:
            groups[len(one.prompt)].append(one)
        for length in sorted(groups, reverse=True):
            fitting = max(1, self._batch_tokens // (length + decoding.max_new_tokens))
            size = min(fitting, most)
            members = sorted(groups[length], key=lambda one: (one.prompt, one.stream))
            for start in range(0, len(members), size):
                yield members[start : start + size]

    def _attempt(self, batch: list[Asked], decoding: Decoding) -> list[Answered] | None:
        """Return the answers, or None if memory ran out."""
        guard = _FiniteGuard()
        stopping = StopStrings(
            decoding.stop,
            decode=self._ending.decode,
            prompt_tokens=len(batch[0].prompt),
            ends=self._ending.tokens,
        )
        try:
            inputs = torch.tensor([one.prompt for one in batch], device=self._device)
            processors: list[object] = [guard]
            if decoding.temperature is not None:
                processors.append(SamplingProcessor(decoding, [one.stream for one in batch]))
            ends = self._ending.tokens
            with greedy_settings(self._model, decoding.max_new_tokens, ends) as config:
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
            self._answered(one, row, stopping.lengths.get(index), decoding, is_finite=not bad)
            for index, (one, row, bad) in enumerate(zip(batch, rows, broken, strict=True))
        ]

    def _answered(
        self,
        asked: Asked,
        row: list[int],
        stopped: int | None,
        decoding: Decoding,
        *,
        is_finite: bool,
    ) -> Answered:
        """Return what stands in a row up to where it ended; `stopped` is the length at a stop."""
        whole = row if stopped is None else row[:stopped]
        end = next((i for i, token in enumerate(whole) if token in self._ending.tokens), None)
        found = self._ending.continuation(
            whole[:end], decoding, is_truncated=end is None and stopped is None
        )
        return Answered(asked=asked, found=found, is_finite=is_finite)


@contextmanager
def greedy_settings(
    model: PreTrainedModel, max_new_tokens: int, ends: Sequence[int]
) -> Iterator[GenerationConfig]:
    """Replace the model's own settings: what a call leaves open is taken from there.

    Parameters
    ----------
    model : PreTrainedModel
        Its settings come back afterwards.
    max_new_tokens : int
        Longest output.
    ends : sequence of int
        Tokens that end an output; without any, each is of the longest length.
    """
    config = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=False,
        num_beams=1,
        max_new_tokens=max_new_tokens,
        eos_token_id=list(ends) or None,
        pad_token_id=ends[0] if ends else 0,
    )
    own = model.generation_config
    model.generation_config = config
    try:
        yield config
    finally:
        model.generation_config = own

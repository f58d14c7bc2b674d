"""Batches of sequences of similar length, padded at the end, where no token sees a later one."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from pytest_quantcheck.measure.engine.answers import as_answers
from pytest_quantcheck.measure.engine.llm_int8.layers import is_llm_int8, run_packed
from pytest_quantcheck.measure.engine.llm_int8.rooms import Rooms
from pytest_quantcheck.measure.engine.segments import separate_segments
from pytest_quantcheck.measure.engine.trie import as_key, owners_of
from pytest_quantcheck.measure.engine.upload import upload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray
    from transformers import PreTrainedModel

    from pytest_quantcheck.measure.engine.answers import Answers
    from pytest_quantcheck.measure.engine.head import Split
    from pytest_quantcheck.measure.engine.plan import Limits
    from pytest_quantcheck.measure.protocols import ScoreRequest

_SHORTEST = 0.75
"""Of the longest sequence beside it: more padding would cost more than another pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaddedBatch:
    """Sequences beside each other, with zeros behind the shorter ones."""

    tokens: NDArray[np.int64]
    """(b, t)"""
    answers: Answers
    """Which of the b times t rows are read."""

    @property
    def sequences(self) -> int:
        """How many there are."""
        return len(self.tokens)


class PaddedForward:
    """Forwards padded batches through a model's own attention.

    Parameters
    ----------
    split : Split
        Body and head of the model.
    model : PreTrainedModel
        The model itself.
    device : str
        Where its inputs go.
    longest : int, optional
        Tokens from which on rotary embeddings depend on the longest sequence of a pass.
    """

    def __init__(
        self, split: Split, model: PreTrainedModel, device: str, *, longest: int | None
    ) -> None:
        self.split = split
        self.longest = longest
        self.rooms = Rooms() if is_llm_int8(model) else None
        self._device = device

    def ready(self) -> AbstractContextManager[None]:
        """Return a context in which batches can be forwarded."""
        return nullcontext()

    def plan(self, requests: Sequence[ScoreRequest], limits: Limits) -> Iterator[PaddedBatch]:
        """Yield the batches that answer all requests."""
        return plan_padded(requests, limits)

    def states(
        self, batch: PaddedBatch, later: list[Callable[[], bool]] | None = None
    ) -> torch.Tensor:
        """Return the final hidden states of each row, (b times t, d)."""
        count, length = batch.tokens.shape
        (tokens,) = upload([batch.tokens.reshape(-1)], torch.device(self._device))
        work = partial(self.split.body.states, tokens.view(count, length))
        if self.rooms is None:
            return work().flatten(0, 1)
        segments = separate_segments(count, length, device=self._device)
        return run_packed(work, segments, self.rooms, later).flatten(0, 1)


def plan_padded(requests: Sequence[ScoreRequest], limits: Limits) -> Iterator[PaddedBatch]:
    """Yield the batches that answer all requests, the longest sequences first.

    Parameters
    ----------
    requests : sequence of ScoreRequest
        In any order; those with equal inputs are one sequence.
    limits : Limits
        What one batch may take, padding included.
    """
    owners = owners_of(requests)
    chosen: list[bytes] = []
    for key in sorted(owners, key=lambda key: (-len(key), key)):
        if chosen and not _fits(key, chosen, limits):
            yield _batch([owners[one] for one in chosen], requests)
            chosen = []
        chosen.append(key)
    if chosen:
        yield _batch([owners[one] for one in chosen], requests)


def _fits(key: bytes, chosen: Sequence[bytes], limits: Limits) -> bool:
    """Whether one more sequence can stand beside those chosen, the longest of which is first."""
    count = len(chosen) + 1
    longest = len(chosen[0])
    return (
        len(key) >= _SHORTEST * longest
        and count * longest <= len(as_key([0])) * limits.batch_tokens
        and count <= (limits.sequences or count)
    )


def _batch(owners: Sequence[Sequence[int]], requests: Sequence[ScoreRequest]) -> PaddedBatch:
    """Return the sequences of these requests, one for each group with equal inputs."""
    length = len(requests[owners[0][0]].inputs)
    tokens = np.zeros((len(owners), length), dtype=np.int64)
    runs: list[tuple[int, int]] = []
    targets: list[int] = []
    sizes: list[tuple[int, int]] = []
    for row, group in enumerate(owners):
        inputs = requests[group[0]].inputs
        tokens[row, : len(inputs)] = inputs
        for owner in group:
            request = requests[owner]
            runs.append((row * length + request.first_target - 1, len(request.targets)))
            targets.extend(request.targets)
            sizes.append((owner, len(request.targets)))
    return PaddedBatch(tokens=tokens, answers=as_answers(runs, targets, sizes))

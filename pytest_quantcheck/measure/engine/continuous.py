"""Continuations in rows: one that ends makes room for the next prompt, whatever its length."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from pytest_quantcheck.measure.engine.outputs import Answered, out_of_memory
from pytest_quantcheck.measure.engine.rows import Rows, rounded
from pytest_quantcheck.measure.engine.sampling import Sampler
from pytest_quantcheck.measure.engine.stopping import has_stopped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from transformers import PreTrainedModel

    from pytest_quantcheck.measure.engine.layout import Layout
    from pytest_quantcheck.measure.engine.outputs import Asked, Ending
    from pytest_quantcheck.measure.protocols import Continuation
    from pytest_quantcheck.workloads.decoding import Decoding

_REFILLED_FROM = 4
"""A share of one in so many rows is free before prompts enter, so that several enter together."""
_LEAST_ALIKE = 0.75
"""Prompts of one pass are at least this long, beside the longest: the rest would be padding."""
_STAGE_SHRINKS = 2
"""Sequences so many times shorter than the longest get a table of their own, with more rows."""


@dataclass(slots=True, kw_only=True)
class _Row:
    """A sequence that is being continued."""

    asked: Asked
    tokens: list[int] = field(default_factory=list)
    """Written so far; the last is the next input."""

    @property
    def position(self) -> int:
        """Where the next input stands."""
        return len(self.asked.prompt) + len(self.tokens) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What continues sequences, and how much of it fits."""

    model: PreTrainedModel
    """In evaluation mode."""
    layout: Layout
    """How it can be decoded row by row."""
    device: str
    ending: Ending
    batch_tokens: int
    """Most tokens of prompts that are read in one pass; a single prompt may have more."""
    cached_tokens: int
    """Most tokens whose keys and values are kept at once; a single sequence may have more."""

    @property
    def keeps_shape(self) -> bool:
        """Whether every step has all rows, free ones too.

        A row's numbers then come from the same kernels whoever stands beside it, and a GPU is
        not busier. A CPU would be.
        """
        return not self.device.startswith("cpu")

    def rows_for(self, sequences: int) -> int:
        """Return how many rows so many sequences are given, if all fit: of few shapes on a GPU."""
        return 1 << (sequences - 1).bit_length() if self.keeps_shape else sequences


def continued(
    machine: Machine, asked: Sequence[Asked], decoding: Decoding, most: int
) -> Iterator[list[Answered]]:
    """Yield answers as they come, with at most `most` sequences at once.

    Raises
    ------
    PackTooLargeError
        Several sequences do not fit into the memory of the device together.
    MeasurementError
        A single sequence does not fit.

    Notes
    -----
    Which prompts share a pass is a function of the prompts, of how outputs end, and of the limits.
    """
    waiting = sorted(asked, key=lambda one: (-len(one.prompt), one.prompt, one.stream))
    while waiting:
        columns = _columns(waiting[0], decoding)
        stage = [one for one in waiting if _columns(one, decoding) * _STAGE_SHRINKS > columns]
        del waiting[: len(stage)]
        fitting = max(1, min(most, machine.cached_tokens // rounded(columns)))
        rows = min(fitting, machine.rows_for(len(stage)))
        yield from _in_memory(_Table(machine, decoding, rows, columns), stage)


def _columns(one: Asked, decoding: Decoding) -> int:
    """Return the tokens that are inputs: all but the last."""
    return len(one.prompt) + decoding.max_new_tokens - 1


def _in_memory(table: _Table, stage: list[Asked]) -> Iterator[list[Answered]]:
    steps = table.run(stage)
    while True:
        try:
            found = next(steps, None)
        except torch.OutOfMemoryError:
            found = []
        # The failed pass has left the stack here: its tensors can really be given back.
        if found is None:
            return
        if not found:
            raise out_of_memory(stage, table.size, table.decoding, table.device)
        yield found


class _Table:
    """Rows of one width, and who is in them."""

    def __init__(self, machine: Machine, decoding: Decoding, rows: int, columns: int) -> None:
        self.decoding = decoding
        self.device = machine.device
        self.size = rows
        self._machine = machine
        self._columns = columns
        self._sampler = None if decoding.temperature is None else Sampler(decoding)
        self._live: dict[int, _Row] = {}

    def run(self, stage: Sequence[Asked]) -> Iterator[list[Answered]]:
        """Yield what ended, whenever something did."""
        machine = self._machine
        self._rows = Rows(
            machine.model,
            machine.layout,
            machine.device,
            rows=self.size,
            columns=self._columns,
        )
        waiting = deque(stage)
        while waiting or self._live:
            n_free = self.size - len(self._live)
            if waiting and (n_free * _REFILLED_FROM >= self.size or not self._live):
                entering = [waiting.popleft() for _ in range(min(n_free, len(waiting)))]
                steps = [self._begin(batch) for batch in self._alike(entering)]
            else:
                steps = [self._step()]
            yield from filter(None, steps)
            if not waiting:
                self._shrink()

    def _alike(self, entering: Sequence[Asked]) -> Iterator[list[Asked]]:
        """Yield prompts that are read in one pass, longest first."""
        chosen: list[Asked] = []
        for one in entering:
            if chosen and not self._fits(one, chosen):
                yield chosen
                chosen = []
            chosen.append(one)
        yield chosen

    def _fits(self, one: Asked, chosen: Sequence[Asked]) -> bool:
        longest = len(chosen[0].prompt)
        least = longest * _LEAST_ALIKE if self._machine.layout.pads else longest
        tokens = longest * (len(chosen) + 1)
        return len(one.prompt) >= least and tokens <= self._machine.batch_tokens

    def _begin(self, batch: Sequence[Asked]) -> list[Answered]:
        """Read prompts into free rows, and write the first token of each."""
        free = [row for row in range(self.size) if row not in self._live][: len(batch)]
        entering = {index: _Row(asked=one) for index, one in zip(free, batch, strict=True)}
        logits = self._rows.begin(free, [one.prompt for one in batch])
        self._live |= entering
        return self._write(entering, logits)

    def _step(self) -> list[Answered]:
        """Write one more token of every row."""
        inputs = [[0, 0] for _ in range(self.size)]
        for index, row in self._live.items():
            inputs[index] = [row.tokens[-1], row.position]
        tokens, positions = torch.tensor(inputs, device=self.device).unbind(1)
        longest = max(row.position for row in self._live.values())
        logits = self._rows.step(tokens, positions, longest)
        live = torch.tensor(list(self._live), device=self.device)
        return self._write(dict(self._live), logits[live])

    def _write(self, rows: Mapping[int, _Row], logits: torch.Tensor) -> list[Answered]:
        """Let each row write the token that follows, and return those that end."""
        ended = []
        tokens, finite = self._chosen(list(rows.values()), logits)
        for (index, row), token, is_finite in zip(rows.items(), tokens, finite, strict=True):
            found = self._after(row, token, is_finite=is_finite)
            if found is None:
                continue
            del self._live[index]
            if not is_finite:
                self._rows.clear(index)
            ended.append(Answered(asked=row.asked, found=found, is_finite=is_finite))
        return ended

    def _chosen(self, rows: Sequence[_Row], logits: torch.Tensor) -> tuple[list[int], list[bool]]:
        """Return the next token of each row, and whether its logits are finite."""
        finite = logits.amax(dim=-1).isfinite()
        if self._sampler is not None:
            streams = [row.asked.stream for row in rows]
            logits = self._sampler.noisy(logits, streams, [len(row.tokens) for row in rows])
        # One copy to the host for both.
        tokens, are_finite = torch.stack([logits.argmax(dim=-1), finite.long()]).tolist()
        return tokens, [bool(one) for one in are_finite]

    def _after(self, row: _Row, token: int, *, is_finite: bool) -> Continuation | None:
        """Return the output, if this token ends it."""
        ending, decoding = self._machine.ending, self.decoding
        if not is_finite or token in ending.tokens:
            return ending.continuation(row.tokens, decoding, is_truncated=False)
        row.tokens.append(token)
        if has_stopped(row.tokens, decoding.stop, ending.decode):
            return ending.continuation(row.tokens, decoding, is_truncated=False)
        if len(row.tokens) == decoding.max_new_tokens:
            return ending.continuation(row.tokens, decoding, is_truncated=True)
        return None

    def _shrink(self) -> None:
        """Drop the free rows once they are half of all, where shapes may change."""
        if self._machine.keeps_shape or not 0 < len(self._live) * 2 <= self.size:
            return
        self._rows.keep(list(self._live))
        self.size = len(self._live)
        self._live = dict(enumerate(self._live.values()))

"""Sequences of different lengths decoded together: a cache with a place of its own for each."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from transformers import Cache

from pytest_quantcheck.measure.engine.replay import Replay, captured

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from transformers import PreTrainedModel

    from pytest_quantcheck.measure.engine.layout import Layout

_COLUMNS = 64
"""Widths are multiples of this: kernels for masks want aligned rows."""


class RowCache(Cache):
    """Keys and values of rows that stand at different positions.

    A row's tokens lie in its columns from 0 on, so that what one row holds is where it would be
    if the row were alone.

    Parameters
    ----------
    rows, columns : int
        Room for so many sequences of so many tokens.
    """

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__(layers=[])
        self._shape = (rows, columns)
        self._kept: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._rows = torch.arange(rows)
        self._positions: torch.Tensor | None = None
        self.seen = 0
        """Columns a step looks at, its own included; 0 where sequences begin."""

    def begin(self, rows: torch.Tensor) -> None:
        """Let the next pass write whole sequences into these rows."""
        self._rows, self._positions, self.seen = rows, None, 0

    def step(self, rows: torch.Tensor, positions: torch.Tensor, seen: int) -> None:
        """Let the next pass write one token of every row, at its own position."""
        self._rows, self._positions, self.seen = rows, positions, seen

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        layer_idx: int,
        *_: object,
        **__: object,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write, and return what queries may look at."""
        if layer_idx not in self._kept:
            self._kept[layer_idx] = self._room(key_states), self._room(value_states)
        kept = self._kept[layer_idx]
        for room, states in zip(kept, (key_states, value_states), strict=True):
            if self._positions is None:
                room[self._rows, :, : states.shape[2]] = states
            else:
                room[self._rows, :, self._positions] = states[:, :, 0]
        if self._positions is None:
            return key_states, value_states
        return kept[0][:, :, : self.seen], kept[1][:, :, : self.seen]

    def _room(self, states: torch.Tensor) -> torch.Tensor:
        """Return zeros: what is masked is multiplied by 0, and must be finite."""
        rows, columns = self._shape
        return states.new_zeros(rows, states.shape[1], columns, states.shape[3])

    @property
    def token_bytes(self) -> int:
        """Bytes of the keys and values of one token; 0 before the first pass."""
        return sum(room[0, :, 0].nbytes for room in self._tensors())

    @property
    def size_bytes(self) -> int:
        """Bytes of all rows; 0 before the first pass."""
        return sum(room.nbytes for room in self._tensors())

    def clear(self, row: int) -> None:
        """Forget what a row left, which may not be finite."""
        for room in self._tensors():
            room[row] = 0

    def keep(self, rows: torch.Tensor) -> None:
        """Keep these rows only, in this order."""
        self._shape = (len(rows), self._shape[1])
        self._kept = {
            layer: (keys[rows], values[rows]) for layer, (keys, values) in self._kept.items()
        }

    def get_seq_length(self, layer_idx: int = 0) -> int:  # noqa: ARG002 - as transformers calls it
        """Return the tokens before those of the next pass."""
        return max(self.seen - 1, 0)

    def get_mask_sizes(self, query_length: Any, layer_idx: int) -> tuple[int, int]:  # noqa: ANN401, ARG002 - a tensor of positions before transformers 5.4
        """Return (columns, first column) of the next pass."""
        new = query_length if isinstance(query_length, int) else len(query_length)
        return (self.seen or new), 0

    def _tensors(self) -> Iterator[torch.Tensor]:
        for pair in self._kept.values():
            yield from pair


class Rows:
    """A model with rows that hold one sequence each, all at positions of their own.

    Parameters
    ----------
    model : PreTrainedModel
        A causal language model in evaluation mode.
    layout : Layout
        What `layout_of` says of it.
    device : str
        Where its inputs go.
    rows, columns : int
        Room for so many sequences of so many tokens.
    """

    def __init__(
        self, model: PreTrainedModel, layout: Layout, device: str, *, rows: int, columns: int
    ) -> None:
        self._model = model
        self._layout = layout
        self._device = device
        self.columns = rounded(columns)
        self._cache = RowCache(rows, self.columns)
        self._all = torch.arange(rows, device=device)
        self._replay: Replay | None = None
        if layout.captures:
            # Before anything is in the rows: what is captured writes to them.
            self._replay = captured(partial(self._forward, seen=self.columns), self._all)

    @property
    def token_bytes(self) -> int:
        """Bytes of the keys and values of one token; 0 before the first pass."""
        return self._cache.token_bytes

    @property
    def cache_bytes(self) -> int:
        """Bytes of all keys and values there is room for; 0 before the first pass."""
        return self._cache.size_bytes

    def begin(self, rows: Sequence[int], prompts: Sequence[Sequence[int]]) -> torch.Tensor:
        """Put prompts into rows, and return the logits (b, v) that follow each, in float32.

        Prompts of different lengths are padded behind their end, where no token of theirs looks.
        """
        longest = max(map(len, prompts))
        padded = [[*prompt, *[0] * (longest - len(prompt))] for prompt in prompts]
        inputs = torch.tensor(padded, device=self._device)
        last = torch.tensor([len(prompt) - 1 for prompt in prompts], device=self._device)
        return self.read(torch.tensor(rows, device=self._device), inputs, last)

    def read(self, rows: torch.Tensor, inputs: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        """Put inputs (b, t) into rows (b,), and return the logits (b, v) after their `last` (b,).

        Nothing in it waits for the host.
        """
        self._cache.begin(rows)
        positions = torch.arange(inputs.shape[1], device=self._device)[None]
        with _head_on(self._model, last):
            return self._logits(inputs, positions.expand(len(rows), -1), None)

    def step(self, tokens: torch.Tensor, positions: torch.Tensor, longest: int) -> torch.Tensor:
        """Return the logits (r, v) after one more token of every row, in float32.

        Parameters
        ----------
        tokens, positions : (r,) int64
            Rows that are free may have any.
        longest : int
            The largest position.
        """
        if self._replay is not None:
            return self._replay(tokens, positions)
        return self._forward(tokens, positions, seen=min(rounded(longest + 1), self.columns))

    def _forward(self, tokens: torch.Tensor, positions: torch.Tensor, *, seen: int) -> torch.Tensor:
        self._cache.step(self._all, positions, seen)
        mask = self._masks(positions, seen)
        return self._logits(tokens[:, None], positions[:, None], mask)

    def clear(self, row: int) -> None:
        """Forget what a row left."""
        self._cache.clear(row)

    def keep(self, rows: Sequence[int]) -> None:
        """Keep these rows only, in this order."""
        self._cache.keep(torch.tensor(rows, device=self._device))
        self._all = self._all[: len(rows)]

    def _masks(self, positions: torch.Tensor, seen: int) -> Any:  # noqa: ANN401 - a tensor, or one for each kind of layer
        columns = torch.arange(seen, device=self._device)
        masks = {}
        for kind, window in self._layout.windows.items():
            visible = columns <= positions[:, None]
            if window is not None:
                visible &= columns > positions[:, None] - window
            masks[kind] = self._as_added(visible)[:, None, None]
        return masks if len(masks) > 1 else next(iter(masks.values()))

    def _as_added(self, visible: torch.Tensor) -> torch.Tensor:
        dtype = self._layout.additive
        if dtype is None:
            return visible
        hidden = torch.finfo(dtype).min
        return torch.zeros(visible.shape, dtype=dtype, device=self._device).masked_fill(
            ~visible, hidden
        )

    def _logits(self, inputs: torch.Tensor, positions: torch.Tensor, mask: object) -> torch.Tensor:
        output = self._model(
            input_ids=inputs,
            position_ids=positions,
            attention_mask=mask,
            past_key_values=self._cache,
            use_cache=True,
        )
        logits: torch.Tensor = output.logits[:, -1].float()
        return logits


@contextmanager
def _head_on(model: PreTrainedModel, last: torch.Tensor) -> Iterator[None]:
    """Run the head on one position of each row only; whatever follows it is done as ever."""

    def chosen(_head: torch.nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        hidden = inputs[0]
        return (hidden[torch.arange(len(hidden), device=hidden.device), last][:, None],)

    head: Any = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    handle = head.register_forward_pre_hook(chosen)
    try:
        yield
    finally:
        handle.remove()


def rounded(columns: int) -> int:
    """Return the width that so many columns are given."""
    return -(-columns // _COLUMNS) * _COLUMNS

"""Sequences of different lengths decoded together: a cache with a place of its own for each."""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from transformers import Cache

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from transformers import PreTrainedModel

_COLUMNS = 64
"""Widths are multiples of this: kernels for masks want aligned rows."""
_FULL, _SLIDING = "full_attention", "sliding_attention"
_LENGTH_DEPENDENT = {"dynamic", "longrope"}
"""Rotary embeddings that change with the longest sequence of a batch."""
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
        or _rope_types(config) & _LENGTH_DEPENDENT
    ):
        return None
    weight: torch.Tensor = model.get_input_embeddings().weight  # type: ignore[assignment]
    return Layout(
        windows=windows,
        additive=weight.dtype if implementation == "eager" else None,
        pads=not any(type(module).__name__ == "Linear8bitLt" for module in model.modules()),
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


def _rope_types(config: object) -> set[str]:
    """Return the kinds of rotary embeddings; a model may have one for each kind of layer."""
    settings = getattr(config, "rope_parameters", None) or {}
    nested = [one for one in settings.values() if isinstance(one, dict)]
    return {str(one.get("rope_type", "default")) for one in (settings, *nested)}


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

    @property
    def token_bytes(self) -> int:
        """Bytes of the keys and values of one token; 0 before the first pass."""
        return self._cache.token_bytes

    def begin(self, rows: Sequence[int], prompts: Sequence[Sequence[int]]) -> torch.Tensor:
        """Put prompts into rows, and return the logits (b, v) that follow each, in float32.

        Prompts of different lengths are padded behind their end, where no token of theirs looks.
        """
        longest = max(map(len, prompts))
        padded = [[*prompt, *[0] * (longest - len(prompt))] for prompt in prompts]
        inputs = torch.tensor(padded, device=self._device)
        last = torch.tensor([len(prompt) - 1 for prompt in prompts], device=self._device)
        self._cache.begin(torch.tensor(rows, device=self._device))
        positions = torch.arange(longest, device=self._device)[None].expand(len(rows), -1)
        with _head_on(self._model, last):
            return self._logits(inputs, positions, None)

    def step(self, tokens: torch.Tensor, positions: torch.Tensor, longest: int) -> torch.Tensor:
        """Return the logits (r, v) after one more token of every row, in float32.

        Parameters
        ----------
        tokens, positions : (r,) int64
            Rows that are free may have any.
        longest : int
            The largest position.
        """
        seen = min(rounded(longest + 1), self.columns)
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

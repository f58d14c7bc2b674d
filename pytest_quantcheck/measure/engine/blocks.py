"""Attention of a pack in blocks of rows, by scaled_dot_product_attention: for any device."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from pytest_quantcheck.measure.engine.packs import Pack

    Range: TypeAlias = tuple[int, int]

_ROWS_ON_CPU = 64
"""Attention takes time by rows times keys there, and a call 0.04 ms."""
_ROWS_ON_GPU = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Rows that are computed together."""

    start: int
    stop: int
    keys: tuple[Range, ...]
    """What they may attend to, as ranges of rows; the last one ends where the block does."""
    is_plain: bool
    """Whether each row attends to every key up to itself, and the rows are all the keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Masked:
    """A block with its mask on the device."""

    block: Block
    mask: torch.Tensor | None


class BlockKernel:
    """Attention by scaled_dot_product_attention, a block of rows at a time.

    Notes
    -----
    Small subtrees beside each other are one block, a long segment is several: no mask has more
    than `rows` by (rows + keys above) elements.
    """

    def load(self, pack: Pack, device: torch.device) -> list[Masked]:
        """Return the blocks of a pack with their masks."""
        rows = _ROWS_ON_CPU if device.type == "cpu" else _ROWS_ON_GPU
        ends = np.repeat(pack.ends, np.diff(pack.starts))  # (t,)
        return [
            Masked(
                block=block,
                mask=None if block.is_plain else torch.from_numpy(_mask(block, ends)).to(device),
            )
            for block in _blocks(pack, rows)
        ]

    def attend(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        *,
        scale: float,
        layout: Sequence[Masked],
    ) -> torch.Tensor:
        """Return (t, h, d) of queries (t, h, d), keys and values (t, g, d)."""
        queries, keys, values = (one.transpose(0, 1)[None] for one in (query, key, value))
        found = query.new_empty((*query.shape[:2], value.shape[-1]))
        shares_keys = query.shape[1] != key.shape[1]
        for one in layout:
            block = one.block
            part = torch.nn.functional.scaled_dot_product_attention(
                queries[:, :, block.start : block.stop],
                _rows(keys, block.keys),
                _rows(values, block.keys),
                attn_mask=one.mask,
                is_causal=block.is_plain,
                scale=scale,
                enable_gqa=shares_keys,
            )
            found[block.start : block.stop] = part[0].transpose(0, 1)
        return found


def _rows(values: torch.Tensor, ranges: Sequence[Range]) -> torch.Tensor:
    parts = [values[:, :, start:stop] for start, stop in ranges]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)


def _mask(block: Block, ends: np.ndarray) -> np.ndarray:
    """Return (rows, keys) bool: a key counts up to the last row below its segment."""
    rows = np.arange(block.start, block.stop)[:, None]
    keys = np.concatenate([np.arange(*one) for one in block.keys])
    found: np.ndarray = (keys <= rows) & (rows < ends[keys])
    return found


def _blocks(pack: Pack, size: int) -> list[Block]:
    """Return blocks that cover all rows, in order."""
    starts, ends = pack.starts.tolist(), pack.ends.tolist()
    cutter = _Cutter(starts)
    segment = 0
    while segment < len(ends):
        start, stop, end = starts[segment], starts[segment + 1], ends[segment]
        cutter.leave(start)
        if end - start <= size:
            cutter.join(start, end, size)
            segment = bisect_left(starts, end, lo=segment + 1)
            continue
        cutter.flush()
        for first in range(start, stop, size):
            cutter.add(first, min(first + size, stop), since=start)
        cutter.above.append((start, stop, end))
        segment += 1
    cutter.flush()
    return cutter.found


class _Cutter:
    """Gathers blocks on the way through the segments of a pack."""

    def __init__(self, starts: Sequence[int]) -> None:
        self._single = set(pairwise(starts))
        self._run: Range | None = None
        self.above: list[tuple[int, int, int]] = []
        """First row of each segment before, the row after its last, and after the last below."""
        self.found: list[Block] = []

    def leave(self, row: int) -> None:
        """Forget the segments that have nothing below them from `row` on."""
        while self.above and self.above[-1][2] <= row:
            self.flush()
            self.above.pop()

    def join(self, start: int, stop: int, size: int) -> None:
        """Put a small subtree into one block with those beside it."""
        if self._run is not None and stop - self._run[0] > size:
            self.flush()
        self._run = (start if self._run is None else self._run[0], stop)

    def flush(self) -> None:
        """Finish the block of small subtrees."""
        if self._run is not None:
            start, stop = self._run
            self._run = None
            self.add(start, stop, since=start)

    def add(self, start: int, stop: int, *, since: int) -> None:
        """Add a block of rows whose own keys begin at row `since`."""
        ranges: list[Range] = []
        for first, last in (*(one[:2] for one in self.above), (since, stop)):
            if ranges and ranges[-1][1] == first:
                ranges[-1] = (ranges[-1][0], last)
            else:
                ranges.append((first, last))
        is_one = since < start or (start, stop) in self._single
        self.found.append(
            Block(
                start=start,
                stop=stop,
                keys=tuple(ranges),
                is_plain=ranges == [(start, stop)] and is_one,
            )
        )

"""Which rows of a forward pass belong together, and which of them see which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from pytest_quantcheck.measure.engine.upload import upload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

PIECE_ROWS = 64
"""Rows of a segment that one part of a GPU walks down."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segments:
    """Segments of the rows of a forward pass."""

    rows: torch.Tensor
    """(t,) int64: the segment of each row of the inputs."""
    parents: torch.Tensor
    """(s + 1,) int64: the segment that each one continues; s where it continues none, and of s."""
    depth: int
    """Most ancestors that a segment has."""
    starts: torch.Tensor | None = None
    """(s + 1,) int64: first row of each segment of a pack, and the end. None for a batch, where a
    row also sees the outliers of later rows."""
    pieces: torch.Tensor | None = None
    """(p, 3) int64: segment, first row and end of each piece of a pack's segments."""


def segments_on(device: str, rows: ArrayLike, parents: Sequence[int]) -> Segments:
    """Return the segments of a pack, their tensors on `device`.

    Parameters
    ----------
    device : str
        Where the model is.
    rows : (t,) int64
        The segment of each row, ascending.
    parents : sequence of int
        For each segment the one it continues, which has a smaller number; -1 where there is none.
    """
    count = len(parents)
    above = np.append(np.asarray(parents, np.int64), -1)
    numbers = np.asarray(rows, np.int64)
    starts = np.searchsorted(numbers, np.arange(count + 1))
    found = upload(
        [numbers, np.where(above < 0, count, above), starts, _pieces(starts).reshape(-1)],
        torch.device(device),
    )
    return Segments(
        rows=found[0],
        parents=found[1],
        starts=found[2],
        pieces=found[3].view(-1, 3),
        depth=max(depths_of(parents), default=0),
    )


def separate_segments(count: int, length: int, *, device: str) -> Segments:
    """Return the segments of so many sequences, none of which continues another."""
    return segments_on(device, np.repeat(np.arange(count), length), [-1] * count)


def depths_of(parents: Sequence[int]) -> list[int]:
    """Return how many ancestors each segment has; parents as for `segments_on`."""
    depths: list[int] = []
    for parent in parents:
        depths.append(depths[parent] + 1 if parent >= 0 else 0)
    return depths


def batch_segments(count: int, length: int, device: torch.device) -> Segments:
    """Return the sequences of a plain batch of so many, each of so many rows."""
    numbers = torch.arange(count, device=device)
    return Segments(
        rows=numbers[:, None].expand(count, length).reshape(-1),
        parents=torch.full((count + 1,), count, device=device),
        depth=0,
    )


def _pieces(starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (p, 3): segment, first row and end, in order."""
    lengths = np.diff(starts)
    counts = -(-lengths // PIECE_ROWS)
    segment = np.repeat(np.arange(len(lengths)), counts)
    place = np.arange(len(segment)) - np.repeat(np.cumsum(counts) - counts, counts)
    first = starts[segment] + place * PIECE_ROWS
    return np.stack([segment, first, np.minimum(first + PIECE_ROWS, starts[segment + 1])], axis=1)

"""The outlier columns of a layer's inputs, found by torch's own kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from pytest_quantcheck.measure.engine.llm_int8.rooms import parts

if TYPE_CHECKING:
    from pytest_quantcheck.measure.engine.segments import Segments


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """Inputs parted into 8 bits and 16."""

    columns: torch.Tensor
    """(room,) int64: those looked at; the ones with outliers first, in order."""
    codes: torch.Tensor
    """(t, k) int8, zero in the outlier columns of the row."""
    scales: torch.Tensor
    """(t,) float32"""
    values: tuple[torch.Tensor, ...]
    """(t, c) for each part of the room: the inputs in the row's own columns, else zero."""


class PlainSearch:
    """Finds outliers by torch's own kernels.

    Parameters
    ----------
    rows : (t, k) floating
        The inputs.
    segments : Segments
        Which rows see which.
    threshold : float
        As float16 has it.
    """

    def __init__(self, rows: torch.Tensor, segments: Segments, threshold: float) -> None:
        self._rows = rows
        self._halves = _halves(rows)
        self._segments = segments
        self._threshold = threshold
        low, high = self._halves.aminmax(dim=0)
        # A column with a NaN is looked at more closely below.
        self._columns = ((low > -threshold) & (high < threshold)).logical_not_()
        self.count = self._columns.sum()
        """Columns that hold an outlier."""

    @staticmethod
    def codes(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the codes (t, k) and scales (t,) of rows, all in 8 bits."""
        return _codes(_halves(rows))

    def split(self, room: int) -> Found:
        """Return codes, scales, and the values of so many columns."""
        halves = self._halves
        # Those with outliers first, in order, so that what more room adds comes behind them.
        chosen = self._columns.to(torch.uint8).sort(descending=True, stable=True).indices[:room]
        picked = halves.t().index_select(0, chosen)  # (c, t)
        outliers = picked.abs() >= self._threshold
        own = own_columns(outliers, self._segments)
        values = picked
        if self._rows.dtype != halves.dtype:
            values = self._rows.t().index_select(0, chosen)
        if torch.is_grad_enabled():
            halves = halves.clone()
        # These may be the inputs themselves: what is changed is put back, as bitsandbytes does.
        halves.t().index_copy_(0, chosen, picked.masked_fill(outliers, 0))
        codes, scales = _codes(halves)
        halves.t().index_copy_(0, chosen, picked)
        turned = codes.t()
        turned.index_copy_(0, chosen, turned.index_select(0, chosen).masked_fill_(own, 0))
        values = values.masked_fill(own.logical_not_(), 0)
        parted = tuple(values[first:end].t() for first, end in parts(room))
        return Found(columns=chosen, codes=codes, scales=scales, values=parted)


def _halves(rows: torch.Tensor) -> torch.Tensor:
    return rows.to(torch.float16).contiguous()


def _codes(halves: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    quantize = torch.ops.bitsandbytes.int8_vectorwise_quant.default
    codes, scales, _ = quantize(halves, threshold=0.0)
    return codes, scales


def own_columns(outliers: torch.Tensor, segments: Segments) -> torch.Tensor:
    """Return (c, t) bool: where a row that this one sees in its sequence holds an outlier.

    Parameters
    ----------
    outliers : (c, t) bool
        Turned: a GPU sums along the last dimension in parallel.
    segments : Segments
        Which rows see which.
    """
    rows, parents = segments.rows, segments.parents
    if segments.starts is None:
        shape = (len(outliers), len(parents))
        counts = torch.zeros(shape, dtype=torch.int32, device=outliers.device)
        return (counts.index_add_(1, rows, outliers.to(torch.int32)) > 0)[:, rows]
    sums = outliers.cumsum(dim=1, dtype=torch.int32)
    first = torch.nn.functional.pad(sums, (1, 0))[:, segments.starts]  # (c, s + 1) before each
    whole = torch.nn.functional.pad(first[:, 1:] > first[:, :-1], (0, 1))
    above = seen_above(whole, segments, dim=1)
    return sums > first.masked_fill_(above, -1)[:, rows]


def seen_above(whole: torch.Tensor, segments: Segments, *, dim: int) -> torch.Tensor:
    """Return in which columns a segment's ancestors hold an outlier.

    Parameters
    ----------
    whole : bool or integer
        Where a segment holds one; s + 1 of them along `dim`, the last empty.
    segments : Segments
        A pack.
    dim : int
        Which dimension is that of the segments.
    """
    path = whole
    for _ in range(segments.depth - 1):
        path = whole | path.index_select(dim, segments.parents)
    return path.index_select(dim, segments.parents)

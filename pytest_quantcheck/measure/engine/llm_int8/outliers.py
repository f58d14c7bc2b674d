"""The outlier columns of a layer's inputs, found by torch's own kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from pytest_quantcheck.measure.engine.llm_int8.rooms import parts

if TYPE_CHECKING:
    from pytest_quantcheck.measure.engine.segments import Segments


class PlainSearch:
    """Finds outliers by torch's own kernels.

    Parameters
    ----------
    rows : (t, k) floating
        The inputs.
    halves : (t, k) float16
        The same, contiguous.
    segments : Segments
        Which rows see which.
    threshold : float
        As float16 has it.
    """

    def __init__(
        self, rows: torch.Tensor, halves: torch.Tensor, segments: Segments, threshold: float
    ) -> None:
        self._rows = rows
        self._halves = halves
        self._segments = segments
        self._threshold = threshold
        low, high = halves.aminmax(dim=0)
        # A column with a NaN is looked at more closely below.
        self.columns = ((low > -threshold) & (high < threshold)).logical_not_()

    def split(
        self, chosen: torch.Tensor, room: int
    ) -> tuple[torch.Tensor, torch.Tensor, tuple[torch.Tensor, ...]]:
        """Return codes, scales, and for each part of the room the values (t, c) kept."""
        halves = self._halves
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
        codes, scales = row_codes(halves)
        halves.t().index_copy_(0, chosen, picked)
        turned = codes.t()
        turned.index_copy_(0, chosen, turned.index_select(0, chosen).masked_fill_(own, 0))
        values = values.masked_fill(own.logical_not_(), 0)
        return codes, scales, tuple(values[first:end].t() for first, end in parts(room))


def row_codes(halves: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the codes and scales of rows, all in 8 bits."""
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

"""Inputs of LLM.int8 layers in 8 bits, and their outlier columns in 16."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from pytest_quantcheck.measure.engine.llm_int8.fused import fused_search
from pytest_quantcheck.measure.engine.llm_int8.outliers import PlainSearch
from pytest_quantcheck.measure.engine.llm_int8.rooms import parts, room_for

if TYPE_CHECKING:
    from pytest_quantcheck.measure.engine.llm_int8.fused import FusedSearch
    from pytest_quantcheck.measure.engine.segments import Segments


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Some columns in 16 bits."""

    columns: torch.Tensor
    """(c,) int64"""
    values: torch.Tensor
    """(t, c): the inputs in these columns where they are the row's own, else zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """Inputs in 8 bits, but for the outlier columns."""

    codes: torch.Tensor
    """(t, k) int8, zero in the outlier columns of the row."""
    scales: torch.Tensor
    """(t,) float32"""
    kept: tuple[Kept, ...]
    """The outlier columns of all rows, in parts."""
    found: int | torch.Tensor
    """How many columns hold an outlier anywhere; in a room of 0, how many rows hold one."""
    is_near: bool = False
    """Whether a value comes near the threshold; known where no column holds an outlier and these
    were counted."""


def quantize(inputs: torch.Tensor, segments: Segments, threshold: float, room: int | None) -> Codes:
    """Return the codes of inputs, which are left as they are.

    Parameters
    ----------
    inputs : (..., k) floating
        Rows of a pack or batch.
    segments : Segments
        Which of them see which.
    threshold : float
        From which absolute value on an input is an outlier.
    room : int, optional
        How many columns are looked at. The codes are wrong if more hold outliers, which `found`
        says. None has them counted, for which the host waits.
    """
    threshold = float(np.float16(threshold))
    rows = inputs.reshape(-1, inputs.shape[-1])  # (t, k)
    kind = _search_for(rows, segments)
    if room == 0:
        codes, scales = kind.codes(rows)
        found = (scales < threshold).logical_not_().sum()
        return Codes(codes=codes, scales=scales, kept=(), found=found)
    search = kind(rows, segments, threshold)
    count: int | torch.Tensor = search.count
    if room is None:
        count = int(count)
        room = room_for(count, rows.shape[1])
    if room == 0:
        codes, scales = kind.codes(rows)
        is_near = bool((scales < threshold / 2).logical_not_().any())
        return Codes(codes=codes, scales=scales, kept=(), found=count, is_near=is_near)
    split = search.split(room)
    bounds = zip(parts(room), split.values, strict=True)
    kept = tuple(Kept(columns=split.columns[first:end], values=one) for (first, end), one in bounds)
    return Codes(codes=split.codes, scales=split.scales, kept=kept, found=count)


def _search_for(rows: torch.Tensor, segments: Segments) -> type[PlainSearch | FusedSearch]:
    """Return what finds the outliers: kernels of our own where they can run, else torch's."""
    found = None
    if rows.is_cuda and rows.dtype == torch.float16 and segments.pieces is not None:
        found = fused_search(rows.device)
    return found or PlainSearch

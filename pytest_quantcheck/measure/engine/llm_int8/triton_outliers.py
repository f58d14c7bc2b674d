"""Kernels that read the inputs of a layer once for what torch reads them many times.

Nothing but a GPU with Triton imports this file.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit  # type: ignore[untyped-decorator]
def search_kernel(  # type: ignore[no-untyped-def]
    inputs,
    clean,
    marks,
    whole,
    pieces,
    threshold,
    width,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Copy a piece of a segment without its outliers, and mark the columns that hold one."""
    piece = tl.program_id(0)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    segment = tl.load(pieces + piece * 3)
    start = tl.load(pieces + piece * 3 + 1)
    end = tl.load(pieces + piece * 3 + 2)
    found = tl.zeros([COLUMNS], dtype=tl.int32)
    for first in range(start, end, ROWS):
        row = first + tl.arange(0, ROWS)
        inside = (row < end)[:, None] & (column < width)[None, :]
        at = row[:, None] * width + column[None, :]
        value = tl.load(inputs + at, mask=inside, other=0.0)
        outlier = tl.abs(value.to(tl.float32)) >= threshold
        tl.store(clean + at, tl.where(outlier, 0.0, value), mask=inside)
        found = found | tl.max(outlier.to(tl.int32), 0)
    tl.store(marks + piece * width + column, found.to(tl.int8), mask=column < width)
    # Pieces of one segment may write the same 1 at the same time.
    tl.store(whole + segment * width + column, found, mask=(column < width) & (found > 0))


@triton.jit  # type: ignore[untyped-decorator]
def keep_kernel(  # type: ignore[no-untyped-def]
    inputs,
    codes,
    kept,
    chosen,
    above,
    marks,
    pieces,
    piece_starts,
    threshold,
    width,
    room,
    first_column,
    columns,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Keep a piece's inputs in its own columns, row after row, and take them out of the codes."""
    piece = tl.program_id(0)
    place = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    is_one = place < columns
    column = tl.load(chosen + first_column + place, mask=is_one, other=0)
    segment = tl.load(pieces + piece * 3)
    start = tl.load(pieces + piece * 3 + 1)
    end = tl.load(pieces + piece * 3 + 2)
    seen = tl.load(above + segment * room + first_column + place, mask=is_one, other=0)
    for earlier in range(tl.load(piece_starts + segment), piece):
        mark = tl.load(marks + earlier * width + column, mask=is_one, other=0)
        seen = seen | mark.to(tl.int32)
    for first in range(start, end, ROWS):
        row = first + tl.arange(0, ROWS)
        inside = (row < end)[:, None] & is_one[None, :]
        at = row[:, None] * width + column[None, :]
        value = tl.load(inputs + at, mask=inside, other=0.0)
        outlier = (tl.abs(value.to(tl.float32)) >= threshold).to(tl.int32)
        own = (tl.cumsum(outlier, 0) + seen[None, :]) > 0
        to = row[:, None] * columns + place[None, :]
        tl.store(kept + to, tl.where(own, value, 0.0), mask=inside)
        tl.store(codes + at, tl.zeros([ROWS, COLUMNS], dtype=tl.int8), mask=inside & own)
        seen = seen | tl.max(outlier, 0)

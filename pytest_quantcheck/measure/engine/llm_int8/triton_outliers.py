"""Kernels that read the inputs of a layer once for what torch reads them many times.

Nothing but a GPU with Triton imports this file. Programs next to each other read what lies next to
each other in memory. Numbers that differ from pack to pack are not specialized: a kernel is
compiled once.
"""

from __future__ import annotations

import triton
import triton.language as tl
from triton.language.extra import libdevice

NEVER = 2**31 - 1
"""A row behind all others."""


@triton.jit  # type: ignore[untyped-decorator]
def search_kernel(  # type: ignore[no-untyped-def]
    inputs,
    first,
    holds,
    pieces,
    threshold,
    width,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    NEVER: tl.constexpr,
):
    """Find the first outlier of each column in a piece of a segment."""
    blocks = tl.cdiv(width, COLUMNS)
    piece = tl.program_id(0) // blocks
    column = tl.program_id(0) % blocks * COLUMNS + tl.arange(0, COLUMNS)
    is_one = column < width
    segment = tl.load(pieces + piece * 3)
    start = tl.load(pieces + piece * 3 + 1)
    end = tl.load(pieces + piece * 3 + 2)
    found = tl.full([COLUMNS], NEVER, dtype=tl.int32)
    for top in range(start, end, ROWS):
        row = top + tl.arange(0, ROWS)
        inside = (row < end)[:, None] & is_one[None, :]
        value = tl.load(inputs + row[:, None] * width + column[None, :], mask=inside, other=0.0)
        is_outlier = tl.abs(value.to(tl.float32)) >= threshold
        here = tl.where(is_outlier, row.to(tl.int32)[:, None], NEVER)
        found = tl.minimum(found, tl.min(here, 0))
    has_one = is_one & (found < NEVER)
    # The smallest of some numbers, and one 1 of several, whichever program comes last.
    tl.atomic_min(first + segment * width + column, found, mask=has_one)
    tl.store(holds + column, 1, mask=has_one)


@triton.jit  # type: ignore[untyped-decorator]
def order_kernel(holds, order, count, width, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """List the columns that hold an outlier, in order, then the others; one program for all."""
    total = 0
    for start in range(0, width, BLOCK):
        column = start + tl.arange(0, BLOCK)
        total += tl.sum(tl.load(holds + column, mask=column < width, other=0), 0)
    tl.store(count, total)
    before = 0
    for start in range(0, width, BLOCK):
        column = start + tl.arange(0, BLOCK)
        one = tl.load(holds + column, mask=column < width, other=0)
        ones_before = before + tl.cumsum(one, 0) - one
        place = tl.where(one > 0, ones_before, total + column - ones_before)
        tl.store(order + place, column, mask=column < width)
        before += tl.sum(one, 0)


@triton.jit  # type: ignore[untyped-decorator]
def code_kernel(  # type: ignore[no-untyped-def]
    inputs,
    codes,
    scales,
    threshold,
    width,
    BLOCK: tl.constexpr,
):
    """Round a row to 8 bits by its largest value that is no outlier."""
    row = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, BLOCK)
    inside = column < width
    given = tl.load(inputs + row * width + column, mask=inside, other=0.0).to(tl.float32)
    value = tl.where(tl.abs(given) >= threshold, 0.0, given)
    largest = tl.max(tl.abs(value), 0)
    tl.store(scales + row, largest)
    # As bitsandbytes' __fdividef and __float2int_rn: the quotient of a zero row is infinite.
    steps = tl.inline_asm_elementwise(
        "div.approx.f32 $0, $1, $2;",
        "=f,f,f",
        [tl.full([BLOCK], 127.0, tl.float32), tl.zeros([BLOCK], tl.float32) + largest],
        dtype=tl.float32,
        is_pure=True,
        pack=1,
    )
    code = libdevice.float2int_rn(value * steps)
    tl.store(codes + row * width + column, code.to(tl.int8), mask=inside)


@triton.jit(do_not_specialize=["segments", "rows", "room"])  # type: ignore[untyped-decorator]
def keep_kernel(  # type: ignore[no-untyped-def]
    inputs,
    codes,
    kept,
    order,
    first,
    parents,
    pieces,
    width,
    segments,
    rows,
    room,
    FIRST: tl.constexpr,
    GROWTH: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    NEVER: tl.constexpr,
):
    """Keep a piece's inputs in its own columns, and take them out of the codes.

    A column is a row's own if it, or a row before it in its sequence, holds an outlier there.
    """
    blocks = tl.cdiv(room, COLUMNS)
    piece = tl.program_id(0) // blocks
    place = tl.program_id(0) % blocks * COLUMNS + tl.arange(0, COLUMNS)
    is_one = place < room
    column = tl.load(order + place, mask=is_one, other=0)
    segment = tl.load(pieces + piece * 3)
    start = tl.load(pieces + piece * 3 + 1)
    end = tl.load(pieces + piece * 3 + 2)
    since = tl.load(first + segment * width + column, mask=is_one, other=NEVER).to(tl.int64)
    above = tl.load(parents + segment)
    while above < segments:
        there = tl.load(first + above * width + column, mask=is_one, other=NEVER)
        since = tl.where(there < NEVER, -1, since)
        above = tl.load(parents + above)
    # Each part of the room lies in memory by itself, row after row.
    part = place * 0
    stop = room * 0 + FIRST
    while stop < room:
        part = tl.where(place >= stop, stop, part)
        stop = stop * GROWTH
    columns = tl.minimum(tl.where(part > 0, part * GROWTH, FIRST), room) - part
    into = kept + (part.to(tl.int64) * rows + place - part)[None, :]
    for top in range(start, end, ROWS):
        row = top + tl.arange(0, ROWS)
        inside = (row < end)[:, None] & is_one[None, :]
        own = inside & (row[:, None] >= since[None, :])
        at = row[:, None] * width + column[None, :]
        value = tl.load(inputs + at, mask=own, other=0.0)
        tl.store(into + row[:, None] * columns[None, :], value, mask=inside)
        tl.store(codes + at, tl.zeros([ROWS, COLUMNS], dtype=tl.int8), mask=own)

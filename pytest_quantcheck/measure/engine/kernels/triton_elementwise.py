"""Elementwise arithmetic in one kernel, rounded after each step as torch's several kernels round.

Nothing but a GPU with Triton imports this file.
"""

from __future__ import annotations

import triton
import triton.language as tl
from triton.language.extra import libdevice


@triton.jit  # type: ignore[untyped-decorator]
def gate_kernel(gate, up, gated, count, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """Multiply SiLU of a gate with what it lets through."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    given = tl.load(gate + at, mask=inside, other=0.0)
    wide = given.to(tl.float32)
    opened = tl.div_rn(wide, 1.0 + libdevice.exp(-wide)).to(given.dtype)
    through = tl.load(up + at, mask=inside, other=0.0)
    product = opened.to(tl.float32) * through.to(tl.float32)
    tl.store(gated + at, product.to(given.dtype), mask=inside)


@triton.jit  # type: ignore[untyped-decorator]
def rotate_kernel(  # type: ignore[no-untyped-def]
    inputs,
    cosines,
    sines,
    rotated,
    heads,
    half,
    row_stride,
    head_stride,
    HEADS: tl.constexpr,
    HALF: tl.constexpr,
):
    """Rotate pairs of the features of some heads of one row by the angles of its place."""
    row = tl.program_id(0).to(tl.int64)
    head = tl.program_id(1) * HEADS + tl.arange(0, HEADS)
    pair = tl.arange(0, HALF)
    has_pair = pair < half
    inside = (head < heads)[:, None] & has_pair[None, :]
    at = inputs + row * row_stride + head[:, None] * head_stride + pair[None, :]
    to = rotated + (row * heads + head[:, None]) * half * 2 + pair[None, :]
    angle = row * half * 2 + pair
    low = tl.load(at, mask=inside, other=0.0)
    high = tl.load(at + half, mask=inside, other=0.0)
    cos_low = tl.load(cosines + angle, mask=has_pair, other=0.0).to(tl.float32)[None, :]
    cos_high = tl.load(cosines + angle + half, mask=has_pair, other=0.0).to(tl.float32)[None, :]
    sin_low = tl.load(sines + angle, mask=has_pair, other=0.0).to(tl.float32)[None, :]
    sin_high = tl.load(sines + angle + half, mask=has_pair, other=0.0).to(tl.float32)[None, :]
    kind = low.dtype
    one, other = low.to(tl.float32), high.to(tl.float32)
    kept = (one * cos_low).to(kind).to(tl.float32)
    taken = (other * sin_low).to(kind).to(tl.float32)
    tl.store(to, (kept - taken).to(kind), mask=inside)
    kept = (other * cos_high).to(kind).to(tl.float32)
    added = (one * sin_high).to(kind).to(tl.float32)
    tl.store(to + half, (kept + added).to(kind), mask=inside)


@triton.jit(do_not_specialize=["rows"])  # type: ignore[untyped-decorator]
def square_kernel(  # type: ignore[no-untyped-def]
    inputs, squares, rows, width, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):
    """Square some rows in float32."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, COLUMNS)
    inside = (row < rows)[:, None] & (column < width)[None, :]
    at = row[:, None] * width + column[None, :]
    wide = tl.load(inputs + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(squares + at, wide * wide, mask=inside)


@triton.jit(do_not_specialize=["rows"])  # type: ignore[untyped-decorator]
def norm_kernel(  # type: ignore[no-untyped-def]
    inputs,
    means,
    weight,
    normed,
    rows,
    width,
    epsilon,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Divide some rows by the root of their mean square, and multiply them with the weight."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, COLUMNS)
    has_column = column < width
    inside = (row < rows)[:, None] & has_column[None, :]
    at = row[:, None] * width + column[None, :]
    given = tl.load(inputs + at, mask=inside, other=0.0)
    kind = given.dtype
    scale = libdevice.rsqrt(tl.load(means + row, mask=row < rows, other=1.0) + epsilon)
    kept = (given.to(tl.float32) * scale[:, None]).to(kind).to(tl.float32)
    factor = tl.load(weight + column, mask=has_column, other=0.0).to(tl.float32)
    tl.store(normed + at, (kept * factor[None, :]).to(kind), mask=inside)

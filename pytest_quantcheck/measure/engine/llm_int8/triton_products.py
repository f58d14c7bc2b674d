"""The product of LLM.int8 with its scales, and columns of a weight in 16 bits, by one kernel each.

Nothing but a GPU with Triton imports this file. Sums of products of 8 bits are exact, in whatever
order; what follows is rounded as bitsandbytes rounds it.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["rows"])  # type: ignore[untyped-decorator]
def product_kernel(  # type: ignore[no-untyped-def]
    codes,
    weight,
    scales,
    weight_scales,
    bias,
    product,
    rows,
    outputs,
    width,
    UNIT: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    IS_WHOLE: tl.constexpr,
    ROWS: tl.constexpr,
    OUTPUTS: tl.constexpr,
    WIDTH: tl.constexpr,
    BAND: tl.constexpr,
):
    """Multiply some rows with some rows of the weight; IS_WHOLE: WIDTH divides the width."""
    # Programs that run at the same time share what they read: a band of rows, output by output.
    tile = tl.program_id(0)
    across = tl.cdiv(outputs, OUTPUTS)
    band = tile // (BAND * across)
    height = min(tl.cdiv(rows, ROWS) - band * BAND, BAND)
    inside_band = tile % (BAND * across)
    row = (band * BAND + inside_band % height) * ROWS + tl.arange(0, ROWS)
    output = inside_band // height * OUTPUTS + tl.arange(0, OUTPUTS)
    part = tl.arange(0, WIDTH)
    # Behind the end the first ones are read again, and nothing is written.
    left = codes + (row % rows).to(tl.int64)[:, None] * width + part[None, :]
    right = weight + (output % outputs).to(tl.int64)[None, :] * width + part[:, None]
    total = tl.zeros([ROWS, OUTPUTS], dtype=tl.int32)
    for done in range(0, width, WIDTH):
        if IS_WHOLE:
            one = tl.load(left)
            other = tl.load(right)
        else:
            one = tl.load(left, mask=(part < width - done)[None, :], other=0)
            other = tl.load(right, mask=(part < width - done)[:, None], other=0)
        total = tl.dot(one, other, total, out_dtype=tl.int32)
        left += WIDTH
        right += WIDTH
    is_row = row < rows
    is_output = output < outputs
    row_scale = tl.load(scales + row, mask=is_row, other=0.0)
    column_scale = tl.load(weight_scales + output, mask=is_output, other=0.0)
    value = total.to(tl.float32) * row_scale[:, None] * column_scale[None, :]
    unit = tl.full([ROWS, OUTPUTS], UNIT, tl.float32)
    if HAS_BIAS:
        added = tl.load(bias + output, mask=is_output, other=0.0).to(tl.float32)
        value = tl.fma(value, unit, tl.broadcast_to(added[None, :], [ROWS, OUTPUTS]))
    else:
        value = value * unit
    to = product + row.to(tl.int64)[:, None] * outputs + output[None, :]
    tl.store(to, value.to(tl.float16), mask=is_row[:, None] & is_output[None, :])


@triton.jit(do_not_specialize=["count"])  # type: ignore[untyped-decorator]
def columns_kernel(  # type: ignore[no-untyped-def]
    weight,
    weight_scales,
    columns,
    dequantized,
    outputs,
    width,
    count,
    UNIT: tl.constexpr,
    OUTPUTS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Dequantize some columns of a weight."""
    output = tl.program_id(0) * OUTPUTS + tl.arange(0, OUTPUTS)
    place = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    inside = (output < outputs)[:, None] & (place < count)[None, :]
    column = tl.load(columns + place, mask=place < count, other=0)
    at = output.to(tl.int64)[:, None] * width + column[None, :]
    code = tl.load(weight + at, mask=inside, other=0).to(tl.float32)
    scale = tl.load(weight_scales + output, mask=output < outputs, other=0.0)
    value = code * scale[:, None] * UNIT
    to = dequantized + output.to(tl.int64)[:, None] * count + place[None, :]
    tl.store(to, value.to(tl.float16), mask=inside)

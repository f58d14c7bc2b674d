"""The merge of two attentions of the same queries.

Nothing but a GPU with Triton imports this file.
"""

from __future__ import annotations

import triton
import triton.language as tl

_OF_A_PACK = ["rows", "lse_head_stride", "part_lse_head_stride", "merged_head_stride"]
"""Arguments of another alignment or divisibility in each pack: not a kernel for each."""


@triton.jit(do_not_specialize=_OF_A_PACK)  # type: ignore[untyped-decorator]
def merge_kernel(  # type: ignore[no-untyped-def]
    found,
    part,
    lse,
    part_lse,
    merged_lse,
    rows,
    heads,
    width,
    row_stride,
    head_stride,
    part_row_stride,
    part_head_stride,
    lse_head_stride,
    lse_row_stride,
    part_lse_head_stride,
    part_lse_row_stride,
    merged_head_stride,
    HEADS: tl.constexpr,
    WIDTH: tl.constexpr,
):
    """Merge some heads of one row: in place, but for log-sum-exps.

    Several threads read these, and one of them would write while others have yet to read.
    """
    place = tl.program_id(0).to(tl.int64)
    row = tl.load(rows + place)
    head = tl.program_id(1) * HEADS + tl.arange(0, HEADS)
    is_head = head < heads
    lse_at = lse + row * lse_row_stride + head * lse_head_stride
    part_lse_at = part_lse + place * part_lse_row_stride + head * part_lse_head_stride
    own_lse = tl.load(lse_at, mask=is_head, other=0.0)
    other_lse = tl.load(part_lse_at, mask=is_head, other=0.0)
    weight = tl.sigmoid(other_lse - own_lse)[:, None]

    feature = tl.arange(0, WIDTH)
    inside = is_head[:, None] & (feature < width)[None, :]
    at = found + row * row_stride + head[:, None] * head_stride + feature[None, :]
    part_at = part + place * part_row_stride + head[:, None] * part_head_stride + feature[None, :]
    given = tl.load(at, mask=inside, other=0.0)
    one = given.to(tl.float32)
    other = tl.load(part_at, mask=inside, other=0.0).to(tl.float32)
    difference = other - one
    near_one, near_other = one + weight * difference, other - difference * (1.0 - weight)
    merged = tl.where(weight < 0.5, near_one, near_other)  # noqa: PLR2004 - as torch.lerp
    tl.store(at, merged.to(given.dtype), mask=inside)

    gap = tl.where(own_lse == other_lse, 0.0, tl.abs(own_lse - other_lse))  # also of infinities
    both = tl.maximum(own_lse, other_lse) + tl.log(1.0 + tl.exp(-gap))
    tl.store(merged_lse + row + head * merged_head_stride, both, mask=is_head)

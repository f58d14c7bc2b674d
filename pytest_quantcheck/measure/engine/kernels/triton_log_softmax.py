"""The normalization of a softmax over rows of any length, in one read.

Nothing but a GPU with Triton imports this file.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit  # type: ignore[untyped-decorator]
def normalizer_kernel(logits, largest, log_sums, width, row_stride, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """Find a row's largest logit, and the log of its sum of exponentials of differences to it."""
    row = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, BLOCK)
    top = -float("inf")
    total = 0.0
    for first in range(0, width, BLOCK):
        inside = first + column < width
        at = logits + row * row_stride + first + column
        value = tl.load(at, mask=inside, other=-float("inf")).to(tl.float32)
        higher = tl.maximum(top, tl.max(value, 0))
        # Not -inf - -inf: a row may begin with nothing else. NaN and +inf make the sum NaN.
        shift = tl.where(higher == -float("inf"), 0.0, higher)
        total = total * tl.exp(top - shift) + tl.sum(tl.exp(value - shift), 0)
        top = higher
    tl.store(largest + row, top)
    tl.store(log_sums + row, tl.log(total))

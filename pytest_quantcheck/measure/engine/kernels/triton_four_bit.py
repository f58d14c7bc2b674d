"""A weight that bitsandbytes stores in 4 bits, back in 16 bits by one kernel.

Nothing but a GPU with Triton imports this file.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit  # type: ignore[untyped-decorator]
def dequantize_kernel(  # type: ignore[no-untyped-def]
    codes,
    absmax,
    table,
    weight,
    count,
    BLOCK: tl.constexpr,
    WORDS: tl.constexpr,
):
    """Scale values of a table of 16, in blocks of BLOCK; `count`: of words of eight codes.

    With a thread for each of WORDS words, it reads 32 bits and writes 128, and nothing passes
    between threads.
    """
    words = codes.to(tl.pointer_type(tl.uint32))
    part = tl.arange(0, 8)
    shift = (part ^ 1) * 4  # of the two codes of a byte, the high one is the first
    word = tl.program_id(0).to(tl.int64) * WORDS + tl.arange(0, WORDS)
    inside = word < count
    packed = tl.load(words + word, mask=inside, other=0)
    scale = tl.load(absmax + word // (BLOCK // 8), mask=inside, other=0.0)
    code = (packed[:, None] >> shift[None, :]) & 15
    value = tl.load(table + code) * scale[:, None]
    to = weight + word[:, None] * 8 + part[None, :]
    tl.store(to, value.to(weight.dtype.element_ty), mask=inside[:, None])

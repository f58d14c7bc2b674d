"""Attention on two sets of keys, merged into attention on both."""

from __future__ import annotations

from functools import lru_cache

import torch

from pytest_quantcheck.measure.engine.kernels.replaced import HALVES, holds

_CHUNK_ROWS = 4096
"""Rows that torch merges at once: float32 takes memory."""
_TILE = 2048
"""Features of one row that are merged by one part of a GPU."""
_FLOAT32 = 1e-6
"""Most that values of a trial may differ before they are rounded."""


def merge(
    found: torch.Tensor,
    part: torch.Tensor,
    lse: torch.Tensor,
    part_lse: torch.Tensor,
    rows: torch.Tensor,
) -> torch.Tensor:
    """Merge the attention of some rows on other keys into what they have, in its place.

    Parameters
    ----------
    found : (t, h, d) floating
        Attention of all rows; changed at `rows`.
    part : (b, h, d), of the same dtype
        Attention of some rows on other keys.
    lse : (h, t) float32
        Log-sum-exps of `found`; not to be used any more.
    part_lse : (h, b) float32
        Those of `part`.
    rows : (b,) int64
        Which rows they are, each once.

    Returns
    -------
    (h, t) float32
        Log-sum-exps of both together; anything where a row is not among `rows`.

    Notes
    -----
    Each weighs as much as its exponentials (Milakov and Gimelshein, 2018, arXiv:1805.02867), in
    float32. One kernel of Triton reads both once and writes one; torch takes eight and more.
    """
    fits = found.is_cuda and found.dtype in HALVES and found.stride(2) == part.stride(2) == 1
    if fits and is_proven(found.device, found.dtype, *found.shape[1:]):
        return fused_merge(found, part, lse, part_lse, rows)
    return _by_torch(found, part, lse, part_lse, rows)


def fused_merge(
    found: torch.Tensor,
    part: torch.Tensor,
    lse: torch.Tensor,
    part_lse: torch.Tensor,
    rows: torch.Tensor,
) -> torch.Tensor:
    """Do it by one kernel on a GPU: features lie next to each other, all else as it comes.

    Raises
    ------
    ImportError
        There is no Triton.
    """
    from pytest_quantcheck.measure.engine.kernels.triton_merges import merge_kernel

    _, heads, width = found.shape
    merged_lse = lse.new_empty(lse.shape)
    tile_width = 1 << (width - 1).bit_length()
    tile_heads = min(1 << (heads - 1).bit_length(), max(1, _TILE // tile_width))
    with torch.cuda.device_of(found):  # type: ignore[no-untyped-call]
        merge_kernel[(len(rows), -(-heads // tile_heads))](
            found,
            part,
            lse,
            part_lse,
            merged_lse,
            rows,
            heads,
            width,
            *found.stride()[:2],
            *part.stride()[:2],
            *lse.stride(),
            *part_lse.stride(),
            merged_lse.stride(0),
            HEADS=tile_heads,
            WIDTH=tile_width,
        )
    return merged_lse


@lru_cache(maxsize=16)
def is_proven(device: torch.device, dtype: torch.dtype, heads: int, width: int) -> bool:
    """Return whether the kernel gives what torch gives for heads of a number and width."""
    return holds(lambda: _is_same(device, dtype, heads, width))


def _by_torch(
    found: torch.Tensor,
    part: torch.Tensor,
    lse: torch.Tensor,
    part_lse: torch.Tensor,
    rows: torch.Tensor,
) -> torch.Tensor:
    """Do it by torch's kernels."""
    own_lse = lse.index_select(1, rows)
    weights = torch.sigmoid(part_lse - own_lse).t()[..., None]  # (b, h, 1) float32
    pieces = (torch.split(one, _CHUNK_ROWS) for one in (rows, part, weights))
    for some, other, weight in zip(*pieces, strict=True):
        merged = found.index_select(0, some).float().lerp_(other.float(), weight)
        found.index_copy_(0, some, merged.to(found.dtype))
    return lse.index_copy_(1, rows, torch.logaddexp(own_lse, part_lse))


def _is_same(device: torch.device, dtype: torch.dtype, heads: int, width: int) -> bool:
    """Return whether both differ by no more than a unit in the last place of the dtype."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    rows = torch.tensor([11, 0, 3, 4, 8, 9], device=device)
    found, part = (random(n, heads, width).to(device, dtype) for n in (12, len(rows)))
    lse, part_lse = (random(heads, n).mul(3).to(device) for n in (12, len(rows)))
    lse[:, [0, 3]] = -torch.inf
    part_lse[:, [2, 3]] = -torch.inf  # row 0: nothing but the part; 3: neither; 4: no part
    other_found, other_lse = found.clone(), lse.clone()
    lse = fused_merge(found, part, lse, part_lse, rows)[:, rows]
    other_lse = _by_torch(other_found, part, other_lse, part_lse, rows)[:, rows]
    unit = torch.finfo(dtype).eps
    return torch.allclose(
        found.float(), other_found.float(), rtol=unit, atol=_FLOAT32, equal_nan=True
    ) and torch.allclose(lse, other_lse, rtol=_FLOAT32, atol=_FLOAT32)

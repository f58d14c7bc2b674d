"""The search for outliers in kernels of Triton, which torch brings along for CUDA."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch

from pytest_quantcheck.measure.engine.kernels.replaced import holds
from pytest_quantcheck.measure.engine.llm_int8.outliers import Found, PlainSearch
from pytest_quantcheck.measure.engine.llm_int8.rooms import FIRST, GROWTH, parts
from pytest_quantcheck.measure.engine.segments import segments_on

if TYPE_CHECKING:
    from pytest_quantcheck.measure.engine.segments import Segments

_ROWS = 16
_COLUMNS = 512
"""Of the inputs, read by one program at a time."""
_KEPT = 1024
_KEPT_COLUMNS = 256
_ORDERED = 4096
_WARPS = 8
_THRESHOLD = 6.0
_LENGTHS = (70, 1, 90, 39)
_PARENTS = (-1, 0, 1, 0)
_WIDTH = 320
"""Of a trial: segments, those they continue, and columns."""


class FusedSearch:
    """Finds outliers by kernels of our own, with the results of torch's.

    Parameters
    ----------
    rows : (t, k) float16
        The inputs, on a GPU.
    segments : Segments
        A pack.
    threshold : float
        As float16 has it.
    """

    def __init__(self, rows: torch.Tensor, segments: Segments, threshold: float) -> None:
        from pytest_quantcheck.measure.engine.llm_int8 import triton_outliers as kernels

        assert segments.pieces is not None  # noqa: S101 - only packs come here
        self._rows = rows.contiguous()
        self._segments = segments
        self._pieces = segments.pieces
        self._threshold = threshold
        width, device = rows.shape[1], rows.device
        shape = (len(segments.parents), width)
        self._first = torch.full(shape, kernels.NEVER, dtype=torch.int32, device=device)
        """(s + 1, k): the first row of a segment that holds an outlier in a column."""
        marks = torch.zeros(width, dtype=torch.int32, device=device)
        self._order = torch.empty(width, dtype=torch.int64, device=device)
        self.count = torch.empty((), dtype=torch.int64, device=device)
        """Columns that hold an outlier."""
        with torch.cuda.device_of(rows):  # type: ignore[no-untyped-call]
            kernels.search_kernel[(len(self._pieces) * -(-width // _COLUMNS),)](
                self._rows,
                self._first,
                marks,
                self._pieces,
                threshold,
                width,
                ROWS=_ROWS,
                COLUMNS=_COLUMNS,
                NEVER=kernels.NEVER,
            )
            kernels.order_kernel[(1,)](
                marks, self._order, self.count, width, BLOCK=_ORDERED, num_warps=_WARPS
            )

    @staticmethod
    def codes(rows: torch.Tensor, threshold: float = math.nan) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the codes (t, k) and scales (t,) of rows; outliers become zeros.

        Nothing is an outlier by default: no value reaches NaN.
        """
        from pytest_quantcheck.measure.engine.llm_int8 import triton_outliers as kernels

        count, width = rows.shape
        codes = torch.empty((count, width), dtype=torch.int8, device=rows.device)
        scales = torch.empty(count, device=rows.device)
        with torch.cuda.device_of(rows):  # type: ignore[no-untyped-call]
            kernels.code_kernel[(count,)](
                rows.contiguous(),
                codes,
                scales,
                threshold,
                width,
                BLOCK=1 << (width - 1).bit_length(),
                num_warps=_WARPS,
            )
        return codes, scales

    def split(self, room: int) -> Found:
        """Return codes, scales, and the values of so many columns."""
        from pytest_quantcheck.measure.engine.llm_int8 import triton_outliers as kernels

        count, width = self._rows.shape
        codes, scales = self.codes(self._rows, self._threshold)
        wide = FIRST if room <= FIRST else _KEPT_COLUMNS
        kept = torch.empty(count * room, dtype=torch.float16, device=codes.device)
        with torch.cuda.device_of(codes):  # type: ignore[no-untyped-call]
            kernels.keep_kernel[(len(self._pieces) * -(-room // wide),)](
                self._rows,
                codes,
                kept,
                self._order,
                self._first,
                self._segments.parents,
                self._pieces,
                width,
                len(self._segments.parents) - 1,
                count,
                room,
                FIRST=FIRST,
                GROWTH=GROWTH,
                ROWS=_KEPT // wide,
                COLUMNS=wide,
                NEVER=kernels.NEVER,
            )
        values = tuple(
            kept[count * first : count * end].view(count, end - first) for first, end in parts(room)
        )
        return Found(columns=self._order[:room], codes=codes, scales=scales, values=values)


@lru_cache(maxsize=16)
def fused_search(device: torch.device) -> type[FusedSearch] | None:
    """Return the fused search where its kernels run and give what torch's own do.

    Parameters
    ----------
    device : torch.device
        A GPU.

    Notes
    -----
    Tried, not looked up: Triton, a compiler for its launcher, or support of the device may lack.
    """
    return FusedSearch if holds(lambda: _is_equal(device)) else None


def _is_equal(device: torch.device) -> bool:
    """Whether both searches give the same codes, scales and values on a pack of three levels."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn((sum(_LENGTHS), _WIDTH), generator=generator).mul(2.2).half().to(device)
    segments = segments_on(str(device), np.repeat(np.arange(4), _LENGTHS), _PARENTS)
    plain, fused = (_all(kind, rows, segments) for kind in (PlainSearch, FusedSearch))
    return all(torch.equal(one, other) for one, other in zip(plain, fused, strict=True))


def _all(
    kind: type[PlainSearch | FusedSearch], rows: torch.Tensor, segments: Segments
) -> list[torch.Tensor]:
    """Return all that a search finds."""
    search = kind(rows, segments, _THRESHOLD)
    found = search.split(_WIDTH)
    return [
        search.count,
        found.columns,
        found.codes,
        found.scales,
        *found.values,
        *kind.codes(rows),
    ]

"""The search for outliers in two kernels of Triton, which torch brings along for CUDA."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import torch

from pytest_quantcheck.measure.engine.llm_int8.outliers import PlainSearch, row_codes, seen_above
from pytest_quantcheck.measure.engine.llm_int8.rooms import parts
from pytest_quantcheck.measure.engine.segments import segments_on

if TYPE_CHECKING:
    from pytest_quantcheck.measure.engine.segments import Segments

_ROWS = 16
_COLUMNS = 256
"""Of the inputs, read by one program at a time."""
_KEPT_ROWS = 32
_KEPT_COLUMNS = 64
_THRESHOLD = 6.0


class FusedSearch:
    """Finds outliers by kernels of our own, with the results of torch's.

    Parameters
    ----------
    halves : (t, k) float16
        The inputs, contiguous.
    segments : Segments
        A pack.
    threshold : float
        As float16 has it.
    """

    def __init__(self, halves: torch.Tensor, segments: Segments, threshold: float) -> None:
        from pytest_quantcheck.measure.engine.llm_int8.triton_outliers import search_kernel

        assert segments.pieces is not None  # noqa: S101 - only packs come here
        self._pieces = segments.pieces
        self._halves = halves
        self._segments = segments
        self._threshold = threshold
        width = halves.shape[1]
        device = halves.device
        self._marks = torch.empty((len(self._pieces), width), dtype=torch.int8, device=device)
        """(p, k): 1 where a piece holds an outlier."""
        shape = (len(segments.parents), width)
        self._whole = torch.zeros(shape, dtype=torch.int32, device=device)
        """(s + 1, k): the same of a whole segment."""
        self._clean = torch.empty_like(halves)
        grid = (len(self._pieces), -(-width // _COLUMNS))
        with torch.cuda.device_of(halves):  # type: ignore[no-untyped-call]
            search_kernel[grid](
                halves,
                self._clean,
                self._marks,
                self._whole,
                self._pieces,
                threshold,
                width,
                ROWS=_ROWS,
                COLUMNS=_COLUMNS,
            )
        self.columns = self._whole.any(dim=0)

    def split(
        self, chosen: torch.Tensor, room: int
    ) -> tuple[torch.Tensor, torch.Tensor, tuple[torch.Tensor, ...]]:
        """Return codes, scales, and for each part of the room the values (t, c) kept."""
        codes, scales = row_codes(self._clean)
        whole = self._whole.index_select(1, chosen)
        above = seen_above(whole, self._segments, dim=0)
        values = tuple(
            self._keep(codes, chosen, above, (first, end - first)) for first, end in parts(room)
        )
        return codes, scales, values

    def _keep(
        self,
        codes: torch.Tensor,
        chosen: torch.Tensor,
        above: torch.Tensor,
        part: tuple[int, int],
    ) -> torch.Tensor:
        """Return the values of some of the chosen columns, and take these out of the codes."""
        from pytest_quantcheck.measure.engine.llm_int8.triton_outliers import keep_kernel

        halves, (first, columns) = self._halves, part
        kept = torch.empty((len(halves), columns), dtype=halves.dtype, device=halves.device)
        grid = (len(self._pieces), -(-columns // _KEPT_COLUMNS))
        with torch.cuda.device_of(halves):  # type: ignore[no-untyped-call]
            keep_kernel[grid](
                halves,
                codes,
                kept,
                chosen,
                above,
                self._marks,
                self._pieces,
                self._segments.piece_starts,
                self._threshold,
                halves.shape[1],
                len(chosen),
                first,
                columns,
                ROWS=_KEPT_ROWS,
                COLUMNS=_KEPT_COLUMNS,
            )
        return kept


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
    try:
        return FusedSearch if _is_equal(device) else None
    except Exception:  # noqa: BLE001 - whatever it is, torch's own kernels are left
        return None


def _is_equal(device: torch.device) -> bool:
    """Whether both searches give the same codes, scales and values on a pack of three levels."""
    generator = torch.Generator().manual_seed(0)
    halves = torch.randn((200, 320), generator=generator).mul(2.2).half().to(device)
    numbers = [number for number, length in enumerate((70, 1, 90, 39)) for _ in range(length)]
    segments = segments_on(str(device), numbers, (-1, 0, 1, 0))
    plain = PlainSearch(halves, halves, segments, _THRESHOLD)
    fused = FusedSearch(halves, segments, _THRESHOLD)
    chosen = torch.arange(320, device=device)
    pairs = zip(_flat(plain, chosen), _flat(fused, chosen), strict=True)
    return all(torch.equal(one, other) for one, other in pairs)


def _flat(search: PlainSearch | FusedSearch, chosen: torch.Tensor) -> list[torch.Tensor]:
    """Return all that a search finds."""
    codes, scales, values = search.split(chosen, len(chosen))
    return [search.columns, codes, scales, *values]

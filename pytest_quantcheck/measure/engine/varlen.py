"""Attention of a pack by torch's kernel for sequences of any length, merged level by level."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from pytest_quantcheck.measure.engine.kernels.merges import merge
from pytest_quantcheck.measure.engine.segments import depths_of
from pytest_quantcheck.measure.engine.upload import upload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pytest_quantcheck.measure.engine.packs import Pack


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """Runs of queries, each with its run of keys."""

    queries: torch.Tensor
    """(n + 1,) int32: where each run begins among the queries, and the end."""
    keys: torch.Tensor
    """(n + 1,) int32."""
    most_queries: int
    most_keys: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """All segments of one depth that have others below them."""

    below: torch.Tensor
    """(b,) rows of those below."""
    own: torch.Tensor
    """(a,) rows of their own."""
    pieces: Pieces


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """A pack as the kernel reads it."""

    segments: Pieces
    """Each on itself."""
    above: tuple[Level, ...]
    """Each on what stands above it."""


class VarlenFunction(Protocol):
    """Attention of runs of rows, (t, h, d), on runs of others, and its log-sum-exp, (h, t)."""

    def __call__(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        pieces: Pieces,
        *,
        is_causal: bool,
        scale: float,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return both."""
        ...


class VarlenKernel:
    """Attention by a function for runs of any length.

    Parameters
    ----------
    function : VarlenFunction
        What computes it.

    Notes
    -----
    A softmax over keys in several sets is the sum of the softmax over each, weighted by the
    share of its exponentials (Milakov and Gimelshein, 2018, arXiv:1805.02867): one call for what
    lies within segments, and one for each depth that has segments below it.
    """

    def __init__(self, function: VarlenFunction) -> None:
        self._function = function

    def load(self, pack: Pack, device: torch.device) -> Levels:
        """Return the levels of a pack."""
        arrays = [pack.starts]
        sizes = []
        for below, above in _depths(pack):
            rows = [np.concatenate([np.arange(*one) for one in part]) for part in (below, above)]
            arrays += [*rows, _offsets(below), _offsets(above)]
            sizes.append((_longest(below), _longest(above)))
        first, *rest = upload(arrays, device)
        longest = int(np.diff(pack.starts).max())
        own = first.to(torch.int32)
        levels = []
        for number, (most_queries, most_keys) in enumerate(sizes):
            below_rows, own_rows, queries, keys = rest[4 * number : 4 * number + 4]
            pieces = Pieces(
                queries=queries.to(torch.int32),
                keys=keys.to(torch.int32),
                most_queries=most_queries,
                most_keys=most_keys,
            )
            levels.append(Level(below=below_rows, own=own_rows, pieces=pieces))
        return Levels(
            segments=Pieces(queries=own, keys=own, most_queries=longest, most_keys=longest),
            above=tuple(levels),
        )

    def attend(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        *,
        scale: float,
        layout: Levels,
    ) -> torch.Tensor:
        """Return (t, h, d) of queries (t, h, d), keys and values (t, g, d)."""
        found, lse = self._function(query, key, value, layout.segments, is_causal=True, scale=scale)
        for level in layout.above:
            part, part_lse = self._function(
                query.index_select(0, level.below),
                key.index_select(0, level.own),
                value.index_select(0, level.own),
                level.pieces,
                is_causal=False,
                scale=scale,
            )
            lse = merge(found, part, lse, part_lse, level.below)  # all below the next are here
        return found


def find_varlen(*, repeats_keys: bool) -> VarlenFunction | None:
    """Return torch's kernel, whatever release of torch it is from; None where there is none.

    Parameters
    ----------
    repeats_keys : bool
        Whether to repeat keys and values where heads share them, for a kernel that does not.
    """
    try:
        from torch.nn.attention import varlen
    except ImportError:
        return None
    return adapt_varlen(varlen.varlen_attn, varlen.AuxRequest(lse=True), repeats_keys=repeats_keys)


def adapt_varlen(
    function: Any,  # noqa: ANN401 - its parameters differ between releases of torch
    wants_lse: Any,  # noqa: ANN401
    *,
    repeats_keys: bool,
) -> VarlenFunction:
    """Return a kernel of torch with parameters that stay the same."""
    accepted = inspect.signature(function).parameters
    fixed: dict[str, Any] = {"return_aux": wants_lse}
    if "num_splits" in accepted:
        fixed["num_splits"] = 1  # the same bits whatever else is in the pack
    windows = "window_size" in accepted

    def attend(
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        pieces: Pieces,
        *,
        is_causal: bool,
        scale: float,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        options = dict(fixed)
        if windows:
            options["window_size"] = (-1, 0 if is_causal else -1)
        else:
            options["is_causal"] = is_causal
        if "scale" in accepted:
            options["scale"] = scale
        else:
            query = query * (scale * query.shape[-1] ** 0.5)
        times = query.shape[1] // key.shape[1]
        if times > 1 and repeats_keys:
            key, value = (one.repeat_interleave(times, dim=1) for one in (key, value))
        elif times > 1 and "enable_gqa" in accepted:
            options["enable_gqa"] = True
        found, lse = function(
            query, key, value, pieces.queries, pieces.keys,
            pieces.most_queries, pieces.most_keys, **options,
        )  # fmt: skip
        # By heads first; a release with rows first would not be told from it by its documentation.
        return found, (lse if len(lse) == query.shape[1] else lse.t()).float()

    return attend


def _depths(pack: Pack) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield, for each depth, the rows below its segments and their own: (n, 2) each."""
    depth = np.array(depths_of(pack.parents.tolist()))
    starts, stops = pack.starts[:-1], pack.starts[1:]
    has_below = pack.ends > stops
    for number in range(int(depth.max()) + 1):
        chosen = has_below & (depth == number)
        if chosen.any():
            below = np.stack([stops[chosen], pack.ends[chosen]], axis=1)
            yield below, np.stack([starts[chosen], stops[chosen]], axis=1)


def _offsets(ranges: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate(([0], (ranges[:, 1] - ranges[:, 0]).cumsum()))


def _longest(ranges: NDArray[np.int64]) -> int:
    return int((ranges[:, 1] - ranges[:, 0]).max())

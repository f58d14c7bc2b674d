"""Medians of few runs with intervals that assume nothing about the times."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Median:
    """The median of independent runs, between two of them."""

    value: float
    low: float
    high: float
    confidence_level: float
    """That the interval holds the median of all runs; below 95 % where there are too few."""
    n: int


def median(values: Sequence[float]) -> Median:
    """Return the median and the narrowest interval of order statistics with 95 %, or the widest.

    The chance that the k-th smallest of n is above the median is that of fewer than k heads in n
    throws of a coin.
    """
    ordered, n = sorted(values), len(values)
    rank, outside = 1, 2 * 0.5**n
    for k in range(2, n // 2 + 1):
        wider = 2 * sum(comb(n, i) for i in range(k)) * 0.5**n
        if wider > 1 - _CONFIDENCE:
            break
        rank, outside = k, wider
    return Median(
        value=statistics.median(ordered),
        low=ordered[rank - 1],
        high=ordered[n - rank],
        confidence_level=max(0.0, 1 - outside),
        n=n,
    )

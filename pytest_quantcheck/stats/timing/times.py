"""Times of one kind out of timed runs, as arrays."""

from __future__ import annotations

from bisect import bisect_left
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.stats.latency import TimedRuns

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from pytest_quantcheck.core.latency import LatencySamples, RunTimes

_SECONDS = {"ttft": "ttft_seconds", "tpot": "tpot_seconds", "e2e": "e2e_seconds"}
_WHOLE = {"throughput": "e2e"}
"""Of a fixed number of tokens, throughput is the inverse of the time for the whole request."""


def timed_runs(samples: LatencySamples, metric: str, *, n: int) -> TimedRuns:
    """Return the times of the first n blocks.

    Parameters
    ----------
    samples : LatencySamples
        With n blocks or more.
    metric : str
        `ttft`, `tpot`, `e2e`, or `throughput` for the times behind it.
    n : int
        Blocks.

    Raises
    ------
    UsageError
        One token was generated: there is no time for each token after the first.
    """
    end = bisect_left(samples.blocks, n)
    return TimedRuns(
        seconds=_seconds(samples.runs[:end], _WHOLE.get(metric, metric)),
        is_variant=np.array(samples.is_variant[:end], dtype=np.bool_),
        blocks=np.array(samples.blocks[:end], dtype=np.int64),
    )


def _seconds(runs: Iterable[RunTimes], metric: str) -> NDArray[np.float64]:
    found = [*map(attrgetter(_SECONDS[metric]), runs)]
    if None in found:
        raise UsageError(
            f"{metric} was asked for, but each request got one token only: time per output token "
            "counts those after the first; set new_tokens to 2 or more"
        )
    return np.array(found, dtype=np.float64)

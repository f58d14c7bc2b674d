"""When a budget is looked at: after which examples, known before the first score."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantcheck.core.metric import Scale

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_quantcheck.core.metric import Metric

BATCH = 64
"""Examples between two chances to stop, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often a budget is looked at."""

    most_looks: int
    """Looks of the group-sequential test, the last one at all examples."""
    fewest_between: int
    """Examples from one look to the next, at least."""
    first: int
    """Nothing is decided before as many examples, unless there are no more."""

    def looks(self, n: int) -> tuple[int, ...]:
        """Return the numbers of examples at which a test of `n` in all is due, ascending."""
        count = max(1, min(self.most_looks, n // self.fewest_between))
        ends = (math.ceil(k * n / count) for k in range(1, count))
        return (*(end for end in ends if end >= self.first), n)


RIGHT_OR_WRONG = Pace(most_looks=10, fewest_between=50, first=300)
"""Exact tests hold at any level."""
REAL_SCORES = Pace(most_looks=5, fewest_between=50, first=300)
"""A t-test of skewed scores errs more the smaller its level: fewer looks."""
DOCUMENTS = Pace(most_looks=5, fewest_between=5, first=20)
"""A document is many tokens, and there are few; under five of them would be cut into blocks."""


def pace_of(metric: Metric) -> Pace:
    """Return how often budgets on a metric are looked at."""
    match metric.scale:
        case Scale.BINARY:
            return RIGHT_OR_WRONG
        case Scale.SCORE:
            return REAL_SCORES
        case _:
            return DOCUMENTS


def batch_ends(sizes: Sequence[int], metrics: Iterable[Metric]) -> tuple[int, ...]:
    """Return after how many examples a workload is looked at, ascending; the last is all of them.

    Parameters
    ----------
    sizes : Sequence[int]
        Examples of each cluster, in the order of measurement; ones where examples stand alone.
    metrics : iterable of Metric
        All that are measured.

    Notes
    -----
    No cluster is cut. Between two looks of the group-sequential tests there are batches of equal
    size, at most 64 examples and what is left of a cluster. The first batch holds all examples
    before which nothing is decided. Documents have no tests between two looks.

    Examples
    --------
    >>> from pytest_quantcheck.core.metric import METRICS
    >>> batch_ends([1] * 2000, [METRICS["accuracy"]])[:5]
    (300, 350, 400, 450, 500)
    >>> batch_ends([1] * 200, [METRICS["perplexity"]])
    (40, 80, 120, 160, 200)
    """
    n = sum(sizes)
    paces = {pace_of(metric) for metric in metrics}
    ends = {end for pace in paces for end in pace.looks(n)}
    betting = paces - {DOCUMENTS}
    if betting:
        ends.add(min(n, *(pace.first for pace in betting)))
    cuts = _refine(sorted(ends)) if betting else sorted(ends)
    return _keep_whole(cuts, sizes)


def _refine(ends: list[int]) -> list[int]:
    """Return the ends with equal batches between them; the first stays whole."""
    refined = ends[:1]
    for before, after in itertools.pairwise(ends):
        count = math.ceil((after - before) / BATCH)
        refined += [before + (after - before) * k // count for k in range(1, count + 1)]
    return refined


def _keep_whole(ends: Sequence[int], sizes: Sequence[int]) -> tuple[int, ...]:
    """Return the ends, each moved to the end of the cluster it cuts."""
    whole: list[int] = []
    remaining = iter(ends)
    due: float = next(remaining)
    for total in itertools.accumulate(sizes):
        if total >= due:
            whole.append(total)
            due = next((end for end in remaining if end > total), math.inf)
    return tuple(whole)

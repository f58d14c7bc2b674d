"""When a budget is looked at: after which examples, known before the first score."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantcheck.core.metric import Scale

if TYPE_CHECKING:
    from pytest_quantcheck.core.metric import Metric


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
DOCUMENTS = Pace(most_looks=5, fewest_between=4, first=20)
"""A document is an observation of many tokens, and there are few of them."""


def pace_of(metric: Metric) -> Pace:
    """Return how often budgets on a metric are looked at."""
    match metric.scale:
        case Scale.BINARY:
            return RIGHT_OR_WRONG
        case Scale.SCORE:
            return REAL_SCORES
        case _:
            return DOCUMENTS

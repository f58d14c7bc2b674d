"""From a test to its interval: quantiles, and where a statistic passes a level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scipy import special

if TYPE_CHECKING:
    from collections.abc import Callable

_BISECTIONS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A two-sided interval."""

    low: float
    high: float


def find_crossing(
    falling: Callable[[float], float], level: float, *, low: float, high: float
) -> float:
    """Return where a falling function passes `level`, to 60 bisections of [low, high]."""
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if falling(middle) > level:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def normal_quantile(alpha: float) -> float:
    """Return the upper `alpha` quantile of the normal distribution."""
    return -float(special.ndtri(alpha))


def student_quantile(alpha: float, *, df: float) -> float:
    """Return the upper `alpha` quantile of Student's t with `df` > 0 degrees of freedom."""
    return -float(special.stdtrit(df, alpha))

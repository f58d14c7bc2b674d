"""How much of each budget was used: every budget on its own scale, so that all can be compared."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantcheck.core.limit import Statistic
from pytest_quantcheck.core.metric import METRICS, Direction
from pytest_quantcheck.core.quantity import Unit
from pytest_quantcheck.report.html.axis import Axis

if TYPE_CHECKING:
    from pytest_quantcheck.core.record import CheckRecord

WIDTH, HEIGHT = 220, 24
AXIS = Axis(low=-1.0, high=2.5, start=6, end=WIDTH - 6)
"""From as much better as the budget allows worse, to two and a half times the budget."""
_RATIOS = {"recovery", "log_ratio", "latency_ratio", "throughput_ratio", "peak_memory_ratio"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Estimate and interval of one budget, drawn; 0 is no degradation and 1 the limit."""

    share: float
    """Of the budget that the estimate uses."""
    low: float | None
    """Where its interval begins, in units of the drawing; None where there is none."""
    high: float | None
    point: float
    zero: float
    limit: float
    runs_off_low: bool
    """Whether the drawing ends before the interval does."""
    runs_off_high: bool

    @property
    def multiple(self) -> str:
        """How many times the budget was used, where the drawing has no room for it."""
        return f"{self.share:,.0f}" if math.isfinite(self.share) else "∞"

    @property
    def text(self) -> str:
        """The share of the budget in words."""
        return f"{100 * self.share:.0f} % of the budget" if math.isfinite(self.share) else "beyond"


def interval_of(check: CheckRecord) -> Interval | None:
    """Return how much of its budget a check used; None where the limit itself is no degradation."""
    origin = _origin(check)
    if origin is None or origin == check.limit:
        return None

    def share(value: float) -> float:
        return (value - origin) / (check.limit - origin)

    ends = sorted(share(end) for end in (check.low, check.high) if end is not None)
    has_ends = len(ends) > 1 and check.n > 0
    low, high = (ends[0], ends[-1]) if has_ends else (None, None)
    found = share(check.value)
    return Interval(
        share=found,
        low=None if low is None else AXIS.place(low),
        high=None if high is None else AXIS.place(high),
        point=AXIS.place(found),
        zero=AXIS.place(0.0),
        limit=AXIS.place(1.0),
        runs_off_low=min(found, found if low is None else low) < AXIS.low,
        runs_off_high=max(found, found if high is None else high) > AXIS.high,
    )


def _origin(check: CheckRecord) -> float | None:
    """Return the value of the statistic where nothing is degraded; None where there is none."""
    is_upper = check.bound == "upper"
    statistic = Statistic(check.statistic)
    if statistic.is_difference or statistic.is_flips:
        return 0.0
    if check.statistic in _RATIOS:
        # A limit on the better side of 1 asks for a gain: what is used of it counts from 0.
        is_loss_allowed = check.limit > 1 if is_upper else check.limit < 1
        return 1.0 if is_loss_allowed else (0.0 if is_upper else None)
    if is_upper:
        return 0.0
    is_share = check.unit == Unit.FRACTION.value
    is_higher = check.metric in METRICS and (
        METRICS[check.metric].direction is Direction.HIGHER_IS_BETTER
    )
    return 1.0 if is_share and is_higher else None

"""Limits that the bets do not reject: intervals valid at any time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pytest_quantcheck.stats.inversion import Interval, find_crossing
from pytest_quantcheck.stats.sequential.wealth import Wealth

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_quantcheck.core.verdict import Estimate
    from pytest_quantcheck.stats.sequential.contrast import Contrast, Scales

_FARTHEST = 2.0**20
_MARGIN = 1e-12
"""At the very ends no example can be on one of the sides."""


def laid(contrast: Contrast, theta: float, *, scales: Scales, largest: int) -> Wealth:
    """Return what bets on the limit θ have won on these examples.

    Parameters
    ----------
    contrast : Contrast
        At least one cluster.
    theta : float
        Limit, larger being worse, so that excesses can have either sign.
    scales : Scales
        How far one example reaches.
    largest : int
        Examples of the largest cluster of the plan.
    """
    wealth = open_bets(theta, scales=scales)
    wealth.bet(contrast.excesses(theta) / largest)
    return wealth


def open_bets(theta: float, *, scales: Scales) -> Wealth:
    """Return bets on the limit θ before any example."""
    return Wealth(lowest=scales.reach.lowest(theta), highest=scales.reach.highest(theta))


def can_bet(theta: float, *, scales: Scales) -> bool:
    """Return whether examples can be on either side of the limit θ."""
    return scales.reach.lowest(theta) < 0 < scales.reach.highest(theta)


def betting_interval(contrast: Contrast, *, scales: Scales, largest: int, alpha: float) -> Interval:
    """Return the θ that no bet rejects at level `alpha` on either side."""

    def against_high(theta: float) -> float:
        return -laid(contrast, theta, scales=scales, largest=largest).log_e_pass

    def against_low(theta: float) -> float:
        return laid(contrast, theta, scales=scales, largest=largest).log_e_fail

    return invert_bets(contrast, scales, (against_low, against_high), log_alpha=math.log(alpha))


def invert_bets(
    contrast: Contrast,
    scales: Scales,
    against: tuple[Callable[[float], float], Callable[[float], float]],
    *,
    log_alpha: float,
) -> Interval:
    """Return the θ between those that either e-value rejects.

    `against` gives the log e-value of "θ or less", and less the log e-value of "θ or more"; both
    fall as θ grows.
    """
    bottom, top = _range(scales)
    total = math.fsum(contrast.units)
    middle = math.fsum(contrast.gaps) / total if total > 0 else bottom
    middle = min(max(middle, bottom), top)
    against_low, against_high = against
    return Interval(
        low=find_crossing(against_low, -log_alpha, low=bottom, high=middle),
        high=find_crossing(against_high, log_alpha, low=middle, high=top),
    )


def _range(scales: Scales) -> tuple[float, float]:
    """Return the smallest and the largest θ that can be bet on."""
    reach = scales.reach
    bottom = reach.low / reach.low_unit if reach.low_unit > 0 else -_FARTHEST
    top = reach.high / reach.high_unit
    margin = _MARGIN * (top - bottom)
    return bottom + margin, top - margin


def restate(interval: Interval, scales: Scales) -> Interval:
    """Return an interval of θ in the unit of the limit, as far as it is possible."""
    least = scales.least
    bottom = least.low / least.low_unit if least.low_unit > 0 else -math.inf
    top = least.high / least.high_unit
    ends = (scales.restate(min(max(end, bottom), top)) for end in (interval.low, interval.high))
    low, high = sorted(ends)
    return Interval(low=low, high=high)


def meet(estimate: Estimate, intervals: list[Interval]) -> Interval:
    """Return what all intervals share, and the estimate itself."""
    return Interval(
        low=min(estimate.value, max(interval.low for interval in intervals)),
        high=max(estimate.value, min(interval.high for interval in intervals)),
    )

"""Limits as people write them: rounded to short numbers, always towards the looser side."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING

from pytest_quantcheck.core.limit import Bound
from pytest_quantcheck.core.quantity import Unit

if TYPE_CHECKING:
    from pytest_quantcheck.core.limit import Limit

_COARSE, _FINE, _FINEST = Decimal("0.005"), Decimal("0.001"), Decimal("0.0001")


def loosen(limit: Limit, value: float) -> float:
    """Return the nearest short number that is as loose as `value`, or looser.

    Parameters
    ----------
    limit : Limit
        Says what the number means; its own value does not matter.
    value : float
        Finite.

    Returns
    -------
    float
        Of fractions, points, and what a ratio is away from 1, a multiple of 0.005; of what is
        below 0.01 one of 0.001, and of what is below 0.001 one of 0.0001. Of perplexities,
        divergences and other scores two digits and a half. What may only grow is at least one step.

    Examples
    --------
    >>> from pytest_quantcheck.core.grammar import parse_limit
    >>> loosen(parse_limit("max_accuracy_drop", 0), 0.0171)
    0.02
    >>> loosen(parse_limit("max_perplexity_ratio", 1), 1.0312)
    1.035
    >>> loosen(parse_limit("min_accuracy_recovery", 1), 0.9874)
    0.985
    >>> loosen(parse_limit("max_perplexity", 1), 8.41)
    8.45
    """
    exact, is_upper = Decimal(repr(float(value))), limit.bound is Bound.UPPER
    if limit.unit is Unit.RATIO:
        return float(1 + _outwards(exact - 1, is_upper=is_upper))
    if limit.unit not in {Unit.FRACTION, Unit.POINTS}:
        step = _relative_step(exact)
        return float(_to_step(exact, step, is_upper=is_upper))
    if is_upper:
        return float(_outwards(exact, is_upper=True))
    return max(0.0, float(_to_step(exact, _COARSE, is_upper=False)))


def _outwards(excess: Decimal, *, is_upper: bool) -> Decimal:
    """Return a distance from what allows nothing, made at least one step longer than nothing."""
    sign = 1 if is_upper else -1
    size = sign * excess
    step = _COARSE if size >= Decimal("0.01") else _FINE if size >= _FINE else _FINEST
    return sign * max(_to_step(size, step, is_upper=True), step)


def _relative_step(exact: Decimal) -> Decimal:
    decade = exact.adjusted() if exact else 0
    return 5 * Decimal(10) ** (decade - 2)


def _to_step(exact: Decimal, step: Decimal, *, is_upper: bool) -> Decimal:
    rounding = ROUND_CEILING if is_upper else ROUND_FLOOR
    return (exact / step).to_integral_value(rounding=rounding) * step

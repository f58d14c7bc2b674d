"""Numbers with their units, as people read them: the only place where a percent exists."""

from __future__ import annotations

import math
from enum import Enum

_BYTES_PER_STEP = 1024
_SIZE_STEPS = ("B", "KiB", "MiB", "GiB", "TiB")
_SMALLEST_P = 1e-300
_LARGE_COST = 1000


class Unit(Enum):
    """What a number counts, and so how it is printed."""

    FRACTION = "fraction"
    """A share in [0, 1], printed as percent: `91.2 %`."""
    POINTS = "points"
    """A difference of two shares, printed as percentage points: `2.3 pp`."""
    SCORE = "score"
    """A score on the user's own scale, printed as it is: `0.0231`."""
    RATIO = "ratio"
    """Variant over reference: `1.034`."""
    PERPLEXITY = "perplexity"
    """exp(nats per token, word or byte): `8.41`."""
    NATS = "nats"
    """A divergence for each token: `0.01602 nats`."""
    BYTES = "bytes"
    """A size, printed in binary units: `14.9 GiB`."""
    MEBIBYTES = "mebibytes"
    """A size that a budget limits: `8200.0 MiB`."""
    MILLISECONDS = "milliseconds"
    """A time, printed as it is: `36.41 ms`."""
    TOKENS_PER_SECOND = "tokens_per_second"
    """A throughput, printed as it is: `27.5 tokens/s`."""


_SIGNS = {
    Unit.FRACTION: " %",
    Unit.POINTS: " pp",
    Unit.NATS: " nats",
    Unit.MEBIBYTES: " MiB",
    Unit.MILLISECONDS: " ms",
    Unit.TOKENS_PER_SECOND: " tokens/s",
}
_PRINTED = {
    Unit.FRACTION: (100, 1),
    Unit.POINTS: (100, 1),
    Unit.SCORE: (1, 4),
    Unit.RATIO: (1, 3),
    Unit.PERPLEXITY: (1, 2),
    Unit.NATS: (1, 5),
    Unit.BYTES: (1, 0),
    Unit.MEBIBYTES: (1, 1),
    Unit.MILLISECONDS: (1, 2),
    Unit.TOKENS_PER_SECOND: (1, 1),
}
"""Scale and digits behind the point."""


def format_quantity(value: float, unit: Unit) -> str:
    """Print `value` with its unit.

    Examples
    --------
    >>> format_quantity(0.023, Unit.POINTS)
    '2.3 pp'
    >>> format_quantity(0.9125, Unit.FRACTION)
    '91.2 %'
    >>> format_quantity(1.0341, Unit.RATIO)
    '1.034'
    >>> format_quantity(math.inf, Unit.RATIO)
    'inf'
    """
    if unit is Unit.BYTES:
        return format_bytes(value)
    return format_bare(value, unit) + _SIGNS.get(unit, "")


def format_bare(value: float, unit: Unit) -> str:
    """Print `value` in the scale of `unit` without the unit's sign.

    Examples
    --------
    >>> format_bare(-0.003, Unit.POINTS)
    '-0.3'
    >>> format_bare(-0.00001, Unit.POINTS)
    '0.0'
    """
    if not math.isfinite(value):
        return str(value)
    scale, digits = _PRINTED[unit]
    text = f"{scale * value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def format_limit(value: float, unit: Unit) -> str:
    """Print a limit with as many digits as its author wrote.

    Examples
    --------
    >>> format_limit(0.01, Unit.POINTS), format_limit(0.0125, Unit.POINTS)
    ('1.0 pp', '1.25 pp')
    >>> format_limit(1.06, Unit.RATIO), format_limit(60, Unit.MILLISECONDS)
    ('1.06', '60 ms')
    """
    if unit not in {Unit.FRACTION, Unit.POINTS}:
        return f"{value:.10g}" + _SIGNS.get(unit, "")
    percent = f"{100 * value:.10g}"
    digits = percent if "." in percent else percent + ".0"
    return digits + _SIGNS[unit]


def format_interval(low: float, high: float, unit: Unit) -> str:
    """Print an interval in the scale of `unit`.

    Examples
    --------
    >>> format_interval(-0.003, 0.007, Unit.POINTS)
    '[-0.3, 0.7]'
    """
    return f"[{format_bare(low, unit)}, {format_bare(high, unit)}]"


def format_bytes(size_bytes: float) -> str:
    """Print a size in binary units.

    Examples
    --------
    >>> format_bytes(15_998_000_000)
    '14.9 GiB'
    >>> format_bytes(512)
    '512 B'
    """
    size = float(size_bytes)
    for step in _SIZE_STEPS[:-1]:
        if size < _BYTES_PER_STEP:
            return f"{size:.0f} B" if step == "B" else f"{size:.1f} {step}"
        size /= _BYTES_PER_STEP
    return f"{size:.1f} {_SIZE_STEPS[-1]}"


def format_pvalue(pvalue: float) -> str:
    """Print a p-value; below the smallest double it is a bound.

    Examples
    --------
    >>> format_pvalue(0.0), format_pvalue(0.0312), format_pvalue(3.1e-9)
    ('<1e-300', '0.031', '3.1e-09')
    """
    return "<1e-300" if pvalue < _SMALLEST_P else f"{pvalue:.2g}"


def format_count(count: int, noun: str = "") -> str:
    """Print a count with thousands separated, and what is counted as one or several.

    Examples
    --------
    >>> format_count(2800), format_count(1, "budget"), format_count(12, "budget")
    ('2,800', '1 budget', '12 budgets')
    """
    return f"{count:,}" + (f" {noun}{'' if count == 1 else 's'}" if noun else "")


def format_cost(cost: float) -> str:
    """Print a price in the user's own currency.

    Examples
    --------
    >>> format_cost(0.61234), format_cost(12.345), format_cost(12345.6)
    ('0.612', '12.3', '12,346')
    """
    return f"{cost:,.0f}" if cost >= _LARGE_COST else f"{cost:.3g}"

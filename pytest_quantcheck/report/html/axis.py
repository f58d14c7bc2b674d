"""Numbers as places on a drawing: linear and logarithmic axes with round ticks."""

from __future__ import annotations

import math
from dataclasses import dataclass

_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis of a chart."""

    low: float
    high: float
    start: float
    """Where `low` is drawn, in units of the drawing."""
    end: float
    is_log: bool = False

    def place(self, value: float) -> float:
        """Return where `value` is drawn; what is off the axis is drawn at its end."""
        if math.isnan(value):
            return self.start
        inside = min(max(value, self.low), self.high)
        share = (self._scaled(inside) - self._scaled(self.low)) / (
            self._scaled(self.high) - self._scaled(self.low)
        )
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, most: int = 5) -> list[float]:
        """Return at most `most` + 1 round numbers on the axis; powers of ten on a logarithmic one.

        Examples
        --------
        >>> Axis(low=0, high=0.9, start=0, end=1).ticks(4)
        [0.0, 0.25, 0.5, 0.75]
        >>> Axis(low=1e-3, high=2.0, start=0, end=1, is_log=True).ticks()
        [0.001, 0.01, 0.1, 1.0]
        """
        if self.is_log:
            first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            stride = max(1, -(-(last - first) // most))
            return [10.0**power for power in range(first, last + 1, stride)]
        rough = (self.high - self.low) / most
        size = 10.0 ** math.floor(math.log10(rough))
        step = next(size * one for one in _STEPS if size * one >= rough * (1 - 1e-9))
        places = range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1)
        return [round(step * place, 12) for place in places]

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.is_log else value


def padded(values: list[float], *, least: float = 0.0, share: float = 0.12) -> tuple[float, float]:
    """Return a range around `values` with room at both ends, at least `least` wide."""
    low, high = min(values), max(values)
    room = max(high - low, least, abs(high) * 1e-3, 1e-9) * share
    extra = max(least - (high - low), 0.0) / 2
    return low - room - extra, high + room + extra

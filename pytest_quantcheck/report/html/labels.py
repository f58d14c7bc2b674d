"""Where the names of points stand in a chart, so that none hides another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_CHARACTER, _HALF = 6.6, 6.5
"""Width of a character and half the height of a line, in units of the drawing."""
_MARKER = 7.0
_SHIFTS = (4.0, 17.0, -9.0, 30.0, -22.0)
"""Baselines against the point's middle, the first that is free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchored:
    """A point with the text that belongs to it."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Where a text stands."""

    x: float
    y: float
    anchor: str
    """`start` or `end`, as SVG says it."""


@dataclass(frozen=True, slots=True)
class _Box:
    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: _Box) -> float:
        """Return the area that two boxes share."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(width, 0.0) * max(height, 0.0)


def place_labels(
    points: Sequence[Anchored],
    *,
    area: tuple[float, float, float],
    lines: Sequence[tuple[float, float]] = (),
) -> list[Label]:
    """Return a place for each label, beside its point where it hides least.

    Parameters
    ----------
    points : sequence of Anchored
        In the order in which they choose.
    area : (float, float, float)
        Left and right end and bottom of the drawing: no label leaves it if it can stay.
    lines : sequence of (float, float)
        Middles of short lines that stand in the drawing too.
    """
    left, right, bottom = area
    edges = [
        _Box(-1e4, -1e4, left, 1e4),
        _Box(right, -1e4, 1e4, 1e4),
        _Box(-1e4, bottom, 1e4, 1e4),
        _Box(-1e4, -1e4, 1e4, 0.0),
    ]
    markers = [
        _Box(one.x - _MARKER, one.y - _MARKER, one.x + _MARKER, one.y + _MARKER) for one in points
    ]
    short = [_Box(x - _MARKER, y - 2, x + _MARKER, y + 2) for x, y in lines]
    taken = [*edges, *markers, *short]
    labels = []
    for one in points:
        label = min(_candidates(one), key=lambda found: _hidden(_box(found, one.text), taken))
        taken.append(_box(label, one.text))
        labels.append(label)
    return labels


def _candidates(one: Anchored) -> Iterator[Label]:
    for shift in _SHIFTS:
        for side, anchor in ((10.0, "start"), (-10.0, "end")):
            yield Label(x=round(one.x + side, 1), y=round(one.y + shift, 1), anchor=anchor)


def _box(label: Label, text: str) -> _Box:
    width = _CHARACTER * len(text)
    left = label.x if label.anchor == "start" else label.x - width
    return _Box(left, label.y - 4 - _HALF, left + width, label.y - 4 + _HALF)


def _hidden(box: _Box, taken: Sequence[_Box]) -> float:
    return sum(box.overlap(other) for other in taken)

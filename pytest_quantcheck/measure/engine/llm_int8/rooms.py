"""How many outlier columns the inputs of each layer are given room for."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST = 64
GROWTH = 4
"""The least room, and how much larger the next one is."""
_MARGIN = 1.5
_LONGER = 2
"""Times as many rows as in the longest pass whose columns were counted."""


def room_for(columns: int, width: int) -> int:
    """Return the room that so many outlier columns of inputs of a width are given."""
    if columns == 0:
        return 0
    room = FIRST
    while room < columns:
        room *= GROWTH
    return min(room, width)


def parts(room: int) -> Iterator[tuple[int, int]]:
    """Yield (first, end) of the parts that a room is multiplied in.

    More room has the same parts and further ones: what it gives is the same to the bit.
    """
    bounds = [0]
    while bounds[-1] < room:
        bounds.append(min(max(bounds[-1] * GROWTH, FIRST), room))
    yield from pairwise(bounds)


class Rooms:
    """Room for the outlier columns of one model's inputs, as those counted so far ask for.

    Parameters
    ----------
    margin : float
        Room for so many times the columns that were counted.
    """

    def __init__(self, margin: float = _MARGIN) -> None:
        self._margin = margin
        self._rooms: dict[str, int] = {}
        self._rows = 0

    def of(self, name: str, rows: int) -> int | None:
        """Return the room of the inputs of a layer in a pass of so many rows.

        None where too little is known: they are counted, and the host waits for it.
        """
        return self._rooms.get(name) if rows <= _LONGER * self._rows else None

    def learn(self, name: str, columns: int, *, width: int, is_near: bool) -> None:
        """Remember how many outlier columns were counted; `is_near`: there may be some soon."""
        wanted = room_for(max(int(columns * self._margin), int(is_near)), width)
        self._rooms[name] = max(self._rooms.get(name, 0), wanted)

    def counted(self, rows: int) -> None:
        """Remember that a whole pass of so many rows was counted."""
        self._rows = max(self._rows, rows)

    def forget(self) -> None:
        """Have the next pass counted; no room gets smaller."""
        self._rows = 0

    def sizes(self) -> dict[str, int]:
        """Return the room of each layer that quantizes inputs."""
        return dict(self._rooms)

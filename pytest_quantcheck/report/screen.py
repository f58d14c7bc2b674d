"""Text on a terminal: escaped, measured in columns, wrapped, cut in the middle."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_MARK = "^"
_LEAST_COLUMNS = 20
_WITHIN_FIGURE = re.compile(
    r"(?<=\d) (?=%|(?:pp|ms|nats|tokens/s|[KMGT]?i?B)\b)|(?<=[<>]=) |(?<=\d,) (?=-?[\d.]+\])"
)
"""Spaces of `2.3 pp`, `<= 3.0 pp` and `[1.5, 3.2]`."""
_UNBROKEN = "\xa0"
"""No break space, which escaped text does not hold."""
_COMMAND = re.compile(r"(?:^\s*):(?=:)|#(?=\[)(?<=##)")
"""How lines begin, or what they hold, that GitHub Actions carries out when a log has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One character of a text as the terminal shows it."""

    shown: str
    is_marked: bool = False
    ends_line: bool = False


def ascii_safe(text: str) -> str:
    r"""Return `text` with control characters shown, so that data cannot drive the terminal.

    Examples
    --------
    >>> ascii_safe("\x1b[31mred")
    '\\x1b[31mred'
    """
    return text if text.isprintable() else "".join(map(_escaped, text))


def inert(line: str) -> str:
    r"""Return `line` as it may stand in a log: data gives no orders to terminals and CI systems.

    Examples
    --------
    >>> inert("   ::add-mask::e"), inert("a ##[error]b"), inert("a::b [1]")
    ('   \\x3a:add-mask::e', 'a #\\x23[error]b', 'a::b [1]')
    """
    shown = ascii_safe(line)
    return _COMMAND.sub(lambda found: f"{found[0][:-1]}\\x{ord(found[0][-1]):02x}", shown)


def display_width(text: str) -> int:
    """Return how many columns a terminal gives to escaped text.

    Examples
    --------
    >>> display_width("price"), display_width("価格"), display_width("e\u0301")
    (5, 4, 1)
    """
    return len(text) if text.isascii() else sum(map(_columns, text))


def pad(text: str, width: int) -> str:
    """Return `text` filled with spaces to `width` columns."""
    return text + " " * (width - display_width(text))


def cells(text: str, marks: Iterable[tuple[int, int]] = ()) -> list[Cell]:
    """Return the characters of a text, those within `marks` marked.

    Parameters
    ----------
    text : str
        As the data has it.
    marks : iterable of (int, int)
        Start and end of each marked part, in characters.
    """
    marked = {position for start, end in marks for position in range(start, end)}
    return [
        Cell(shown=_escaped(char), is_marked=position in marked, ends_line=char == "\n")
        for position, char in enumerate(text)
    ]


def wrap(row: Sequence[Cell], width: int) -> list[list[Cell]]:
    """Return `row` in lines of at most `width` columns, broken after spaces where possible."""
    lines: list[list[Cell]] = []
    start = used = 0
    last_space = -1
    for position, cell in enumerate(row):
        columns = display_width(cell.shown)
        if used + columns > width and position > start:
            end = last_space + 1 if last_space >= start else position
            lines.append(list(row[start:end]))
            start = end
            used = sum(display_width(before.shown) for before in row[start:position])
        used += columns
        if cell.shown == " " and position - start >= width // 2:
            last_space = position
        if cell.ends_line and position + 1 < len(row):
            lines.append(list(row[start : position + 1]))
            start, used = position + 1, 0
    return [*lines, list(row[start:])]


def text_of(line: Sequence[Cell]) -> str:
    """Return a line's characters."""
    return "".join(cell.shown for cell in line)


def marks_of(line: Sequence[Cell]) -> str:
    """Return what stands under a line: `^` under each marked column, empty if none is."""
    marks = ((_MARK if cell.is_marked else " ") * display_width(cell.shown) for cell in line)
    return "".join(marks).rstrip()


def folded(text: str, width: int, *, indent: int = 1) -> list[str]:
    """Return `text`, escaped, in lines of at most `width` columns where its words are no longer.

    A figure stays with its unit, a limit with its sign, and an interval in one piece.

    Examples
    --------
    >>> folded("a drop of the accuracy of 2.3 pp", 30)
    [' a drop of the accuracy of', '   2.3 pp']
    """
    lines = textwrap.wrap(
        _WITHIN_FIGURE.sub(_UNBROKEN, ascii_safe(text)),
        max(width, _LEAST_COLUMNS),
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 2),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_UNBROKEN, " ") for line in lines]


def cut_middle(text: str, width: int, mark: str) -> str:
    """Return escaped text in at most `width` columns, its middle replaced by `mark`.

    Two thirds of what is kept are the end: the question usually stands there.
    """
    if len(text) <= width and display_width(ascii_safe(text)) <= width:
        return ascii_safe(text)
    room = max(width - display_width(mark), 0)
    head = fitting(text, room // 3)
    tail = fitting(text[::-1], room - room // 3)
    return ascii_safe(text[:head]) + mark + ascii_safe(text[len(text) - tail :])


def fitting(text: str, width: int) -> int:
    """Return how many characters of `text` fit into `width` columns once escaped."""
    used = 0
    for position, char in enumerate(text):
        used += display_width(_escaped(char))
        if used > width:
            return position
    return len(text)


def _escaped(char: str) -> str:
    return char if char.isprintable() else repr(char)[1:-1]


def _columns(char: str) -> int:
    if unicodedata.category(char) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1

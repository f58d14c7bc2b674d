"""What is shown of two outputs: all of them, or a window where they first differ."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_quantcheck.report.diff import Difference, Span, compare, first_difference
from pytest_quantcheck.report.screen import Cell, cells, fitting

_EDGE = Cell(shown="…")
_QUOTE = Cell(shown='"')
_LONGEST_STEP = 20
_BEFORE = 3
"""One in so many columns of a window stands before the first difference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """A text, or a part of it, with what differs marked."""

    text: str
    marks: tuple[Span, ...] = ()
    is_cut_before: bool = False
    is_cut_after: bool = False

    @property
    def row(self) -> list[Cell]:
        """The text between quotes, with an ellipsis where it goes on."""
        inner = cells(self.text, self.marks)
        return [
            _QUOTE,
            *([_EDGE] if self.is_cut_before else []),
            *inner,
            *([_EDGE] if self.is_cut_after else []),
            _QUOTE,
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpts:
    """Both outputs of an example as they are shown."""

    reference: Excerpt
    variant: Excerpt
    first_difference: int | None = None
    """Position of the first character that differs, where something is left out."""


def whole(reference: str, variant: str) -> Excerpts:
    """Return both texts uncut."""
    found = _telling(reference, variant, compare(reference, variant))
    return Excerpts(
        reference=Excerpt(text=reference, marks=found.first),
        variant=Excerpt(text=variant, marks=found.second),
    )


def windows(reference: str, variant: str, room: int) -> Excerpts:
    """Return both texts in `room` columns each: around the first difference if they are longer."""
    if _fits(reference, room) and _fits(variant, room):
        return whole(reference, variant)
    at = first_difference(reference, variant)
    start = _word_after(reference, at - room // _BEFORE, at)
    # What follows the window is compared too: its end is not where the texts end.
    parts = reference[start : start + 2 * room], variant[start : start + 2 * room]
    found = _telling(*parts, compare(*parts))
    return Excerpts(
        reference=_window(reference[start:], found.first, room, is_cut_before=start > 0),
        variant=_window(variant[start:], found.second, room, is_cut_before=start > 0),
        first_difference=at,
    )


def _word_after(text: str, start: int, end: int) -> int:
    """Return where the next word begins, or `start` if it begins too late."""
    if start <= 0:
        return 0
    space = text.find(" ", start, min(start + _LONGEST_STEP, end))
    return start if space < 0 else space + 1


def _fits(text: str, room: int) -> bool:
    return len(text) <= room and fitting(text, room) == len(text)


def _window(text: str, marks: tuple[Span, ...], room: int, *, is_cut_before: bool) -> Excerpt:
    length = fitting(text, room)
    return Excerpt(
        text=text[:length],
        marks=tuple((low, min(high, length)) for low, high in marks if low < length),
        is_cut_before=is_cut_before,
        is_cut_after=length < len(text),
    )


def _telling(first: str, second: str, found: Difference) -> Difference:
    """Return `found`, or no marks where no word is common: marks would say nothing."""
    if _says_nothing(first, found.first) and _says_nothing(second, found.second):
        return Difference(first=(), second=())
    return found


def _says_nothing(text: str, marks: tuple[Span, ...]) -> bool:
    """Whether nothing outside the marks is a letter or a digit."""
    ends = [0, *(position for span in marks for position in span), len(text)]
    kept = (text[low:high] for low, high in zip(ends[::2], ends[1::2], strict=True))
    return not any(char.isalnum() for part in kept for char in part)

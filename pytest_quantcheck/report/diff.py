"""Where two texts differ: words as a whole, numbers digit by digit, in bounded time."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Span = tuple[int, int]
"""Start and end of a part of a text, in characters."""

_MOST_TOKENS = 300
"""Compared with each other; what stands behind them counts as different. difflib is quadratic."""
_LONGEST_WORD = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The parts of two texts that differ; what is left of both is the same."""

    first: tuple[Span, ...]
    second: tuple[Span, ...]


def first_difference(first: str, second: str) -> int:
    """Return the position of the first character that differs; the shorter length if none does.

    Examples
    --------
    >>> first_difference("86.49", "86.59")
    3
    """
    return _common_prefix(first, second)


def compare(first: str, second: str) -> Difference:
    """Return where two texts differ.

    Parameters
    ----------
    first, second : str
        Any texts.

    Notes
    -----
    Equal beginnings and ends are taken off first. Of what is left, 300 words, digits and signs
    are compared; everything behind them counts as different.

    Examples
    --------
    >>> compare("total 86.49", "total 86.59")
    Difference(first=((9, 10),), second=((9, 10),))
    """
    start = _word_start(first, second, _common_prefix(first, second))
    rest = first[start:], second[start:]
    tail = _word_end(*rest, _common_prefix(rest[0][::-1], rest[1][::-1]))
    middle = rest[0][: len(rest[0]) - tail], rest[1][: len(rest[1]) - tail]
    spans: tuple[list[Span], list[Span]] = ([], [])
    for parts in _unequal(middle):
        for found, (low, high) in zip(spans, parts, strict=True):
            if low < high:
                found.append((start + low, start + high))
    return Difference(first=tuple(spans[0]), second=tuple(spans[1]))


def _common_prefix(first: str, second: str) -> int:
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _word_start(first: str, second: str, position: int) -> int:
    """Return where the word begins that `position` stands in; words are marked as a whole."""
    start = position
    while start and _is_joined(first[start - 1 : start + 1], second[start - 1 : start + 1]):
        start -= 1
    return start if position - start <= _LONGEST_WORD else position


def _word_end(first: str, second: str, length: int) -> int:
    """Return the common end without the rest of a word that begins differently."""
    end = length
    while end and _is_joined(_around(first, end), _around(second, end)):
        end -= 1
    return end if length - end <= _LONGEST_WORD else length


def _around(text: str, end: int) -> str:
    position = len(text) - end
    return text[max(position - 1, 0) : position + 1] if position else ""


def _is_joined(*pairs: str) -> bool:
    return any(len(pair) > 1 and _joins(pair[0], pair[1]) for pair in pairs)


def _joins(before: str, char: str) -> bool:
    """Whether two neighbours belong to one token: an accent, or letters of one word."""
    if unicodedata.combining(char):
        return True
    return before.isalpha() and char.isalpha() and not (_is_wide(before) or _is_wide(char))


def _is_wide(char: str) -> bool:
    return not char.isascii() and unicodedata.east_asian_width(char) in "WF"


def _tokens(text: str) -> Iterator[str]:
    start = 0
    for position in range(1, len(text) + 1):
        if position == len(text) or not _joins(text[position - 1], text[position]):
            yield text[start:position]
            start = position


def _unequal(texts: tuple[str, str]) -> Iterator[tuple[Span, Span]]:
    """Yield the parts of two texts that differ, neighbours joined."""
    longest = _MOST_TOKENS * _LONGEST_WORD
    cut = [list(islice(_tokens(text[:longest]), _MOST_TOKENS)) for text in texts]
    matcher = SequenceMatcher(None, cut[0], cut[1], autojunk=False)
    ends = [[0], [0]]
    for one, positions in zip(cut, ends, strict=True):
        for token in one:
            positions.append(positions[-1] + len(token))
    before = (0, 0)
    for block in matcher.get_matching_blocks():
        if block.size and not _says_something(cut[0][block.a : block.a + block.size]):
            continue
        here = ends[0][block.a], ends[1][block.b]
        if not block.size:
            here = len(texts[0]), len(texts[1])
        if before != here:
            yield (before[0], here[0]), (before[1], here[1])
        before = ends[0][block.a + block.size], ends[1][block.b + block.size]


def _says_something(tokens: Sequence[str]) -> bool:
    """Whether a common part is more than the spaces and signs that any two texts share."""
    return any(char.isalnum() for token in tokens for char in token)

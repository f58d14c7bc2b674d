"""Texts of data and models as a page may show them: harmless, and of bounded length."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantcheck.core.quantity import format_count
from pytest_quantcheck.report.diff import first_difference

if TYPE_CHECKING:
    from pytest_quantcheck.core.fingerprint import Plain

NONE = "-"
"""Stands where there is no figure."""
_HARMLESS = {"\t", "\u200c", "\u200d"}
"""Not printable, and needed: tabs, and what joins letters in Persian, Hindi and emoji."""
_BEFORE = 3
"""One in so many characters of a window stands before the first difference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairOfTexts:
    """Both outputs of an example, at most so long."""

    reference: str
    variant: str


def shown(text: str) -> str:
    r"""Return `text` with what has no shape of its own written out; line breaks stay.

    So control characters, marks that change the direction of writing and halves of surrogate pairs
    can be seen, and do nothing.

    Examples
    --------
    >>> shown("a\u202eb\x00")
    'a\\u202eb\\x00'
    >>> shown("two\nlines")
    'two\nlines'
    """
    return "\n".join(
        line if line.isprintable() else "".join(map(_shown, line)) for line in text.split("\n")
    )


def capped(text: str, longest: int) -> str:
    """Return at most `longest` characters of `text`, and how many more there are.

    Two thirds of what is kept are the end: the question usually stands there.
    """
    if len(text) <= longest:
        return shown(text)
    head = longest // 3
    tail = longest - head
    gone = _left_out(len(text) - longest)
    return f"{shown(text[:head])} {gone} {shown(text[len(text) - tail :])}"


def capped_pair(reference: str, variant: str, longest: int) -> PairOfTexts:
    """Return both texts, or of both the part around their first difference."""
    if max(len(reference), len(variant)) <= longest:
        return PairOfTexts(reference=shown(reference), variant=shown(variant))
    start = max(0, first_difference(reference, variant) - longest // _BEFORE)
    return PairOfTexts(
        reference=_window(reference, start, longest), variant=_window(variant, start, longest)
    )


def as_script_data(value: Plain) -> str:
    r"""Return JSON that cannot end the `script` element it stands in.

    Examples
    --------
    >>> as_script_data("</script>")
    '"\\u003c/script\\u003e"'
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def _window(text: str, start: int, longest: int) -> str:
    before = f"{_left_out(start)} " if start else ""
    rest = len(text) - start - longest
    after = f" {_left_out(rest)}" if rest > 0 else ""
    return before + shown(text[start : start + longest]) + after


def _left_out(count: int) -> str:
    return f"[{format_count(count)} characters left out]"


def _shown(char: str) -> str:
    return char if char.isprintable() or char in _HARMLESS else repr(char)[1:-1]

"""What errors say, and what they were raised from."""

from __future__ import annotations

import pytest

from pytest_quantcheck.errors import UsageError, first_line, with_causes


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("no such layer\nTraceback: …"), "no such layer"),
        (OSError("\n  gone  "), "gone"),
        (KeyError(), "KeyError"),
    ],
)
def test_first_line_of_an_error_without_words_is_its_type(error, expected):
    assert first_line(error) == expected


def test_causes_follow_an_error_whether_stated_or_not():
    lost, unreadable, wrong = KeyError("key"), OSError("file"), UsageError("model")
    unreadable.__context__ = lost  # raised while it was handled
    wrong.__cause__ = unreadable
    assert [*with_causes(wrong)] == [wrong, unreadable, lost]
    assert [*with_causes(None)] == []

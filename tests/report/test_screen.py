"""Text keeps its characters and its columns on a terminal."""

import random

import pytest

from pytest_quantcheck.report.screen import (
    ascii_safe,
    cells,
    cut_middle,
    display_width,
    marks_of,
    text_of,
    wrap,
)

ALPHABET = "ab c 価格é\u0301\u200b\u202e\x1b\n\t0"


@pytest.mark.parametrize(
    ("text", "width"),
    [("abc", 3), ("価格", 4), ("e\u0301", 1), ("\uff21", 2), ("é", 1), ("🙂", 2), ("", 0)],
)
def test_columns_are_those_of_a_terminal(text, width):
    assert display_width(text) == width


@pytest.mark.parametrize(
    ("char", "shown"),
    [("\x1b", "\\x1b"), ("\x07", "\\x07"), ("\u202e", "\\u202e"), ("\u200b", "\\u200b"),
     ("\n", "\\n"), ("\r", "\\r"), ("\xa0", "\\xa0"), ("\ud800", "\\ud800")],
)  # fmt: skip
def test_what_could_drive_a_terminal_is_escaped(char, shown):
    assert ascii_safe(f"a{char}b") == f"a{shown}b"


@pytest.mark.parametrize("width", [20, 33, 80])
def test_wrapped_lines_fit_and_keep_every_character(width):
    rng = random.Random(width)
    for _ in range(100):
        text = "".join(rng.choices(ALPHABET, k=rng.randrange(300)))
        lines = wrap(cells(text), width)

        assert "".join(map(text_of, lines)) == ascii_safe(text)
        assert all(display_width(text_of(line)) <= width for line in lines)


def test_lines_break_after_spaces_and_at_line_breaks():
    lines = [text_of(line) for line in wrap(cells("one two three\nfour five"), 10)]

    assert lines == ["one two ", "three\\n", "four five"]


def test_marks_stand_under_what_they_mark():
    (line,) = wrap(cells("格a\x07b", [(0, 1), (2, 3)]), 20)

    assert text_of(line) == "格a\\x07b"
    assert marks_of(line) == "^^ ^^^^"


@pytest.mark.parametrize("width", [30, 47, 80])
def test_a_long_text_loses_its_middle_and_keeps_its_end(width):
    rng = random.Random(width)
    for _ in range(100):
        text = "".join(rng.choices(ALPHABET, k=rng.randrange(400)))
        short = cut_middle(text, width, " … ")

        assert display_width(short) <= width
        if short != ascii_safe(text):
            head, tail = short.split(" … ")
            assert ascii_safe(text).startswith(head)
            assert ascii_safe(text).endswith(tail)
            assert display_width(tail) >= display_width(head) - 6

"""What is marked differs, and what is not marked is the same."""

import random
import time

import pytest

from pytest_quantcheck.report.diff import compare, first_difference

ALPHABETS = {
    "two letters": "ab",
    "words": "abc de ",
    "numbers": "0123456789.,- ",
    "marks": "ae\u0301\u0308 x",
    "wide": "価格は八十円。 a",
    "controls": "\n\t\x1b[m\u202eab ",
}


def unmarked(text, spans):
    positions = {position for low, high in spans for position in range(low, high)}
    return "".join(char for position, char in enumerate(text) if position not in positions)


def edited(text, rng, alphabet):
    for _ in range(rng.randrange(4)):
        start = rng.randrange(len(text) + 1)
        end = min(len(text), start + rng.randrange(6))
        text = text[:start] + "".join(rng.choices(alphabet, k=rng.randrange(6))) + text[end:]
    return text


@pytest.mark.parametrize("alphabet", ALPHABETS.values(), ids=ALPHABETS)
@pytest.mark.parametrize("longest", [12, 200, 2000])
def test_without_what_is_marked_two_texts_are_the_same(alphabet, longest):
    rng = random.Random(longest)
    for _ in range(30):
        first = "".join(rng.choices(alphabet, k=rng.randrange(longest)))
        second = edited(first, rng, alphabet)
        found, mirrored = compare(first, second), compare(second, first)

        assert unmarked(first, found.first) == unmarked(second, found.second)
        assert unmarked(first, mirrored.second) == unmarked(second, mirrored.first)
        assert (first == second) == (found.first == found.second == ())
        for text, spans in ((first, found.first), (second, found.second)):
            ends = [position for span in spans for position in span]
            assert ends == sorted(set(ends))
            assert all(0 <= position <= len(text) for position in ends)


@pytest.mark.parametrize(
    ("first", "second", "marked"),
    [
        ("86.49", "86.59", ("4", "5")),
        ("111.92", "112.92", ("1", "2")),
        ("86.49", "86.4", ("9", "")),
        ("to billing", "to returns", ("billing", "returns")),
        ("a refund", "a refunds", ("refund", "refunds")),
        ("is unpaid now", "is paid now", ("unpaid", "paid")),
        ("cafe\u0301 x", "cafe x", ("cafe\u0301", "cafe")),
        ("価格は八円", "価格は九円", ("八", "九")),
        ("same", "same", ("", "")),
        ("", "new", ("", "new")),
        ("one, two", "six, ten", ("one, two", "six, ten")),
    ],
)
def test_words_are_marked_as_a_whole_and_numbers_by_digit(first, second, marked):
    found = compare(first, second)

    assert marked == (
        "".join(first[low:high] for low, high in found.first),
        "".join(second[low:high] for low, high in found.second),
    )


def test_the_first_difference_is_the_first():
    assert first_difference("abc", "abd") == 2
    assert first_difference("abc", "abcd") == 3
    assert first_difference("", "x") == 0
    assert first_difference("same", "same") == 4


@pytest.mark.parametrize("alphabet", ["ab", "a ", "a", "ab cd 0123."])
def test_long_texts_take_milliseconds(alphabet):
    rng = random.Random(0)
    first, second = ("".join(rng.choices(alphabet, k=100_000)) for _ in range(2))

    started = time.process_time()
    compare(first, second)
    compare(first, first[:50_000] + "!" + first[50_000:])

    # Measured: 2 to 12 ms. A quadratic comparison of 100,000 characters takes minutes.
    assert time.process_time() - started < 1

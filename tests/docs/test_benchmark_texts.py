"""The benchmark of calibrated checkpoints never tests with a text it calibrated on."""

from __future__ import annotations

import runpy
from itertools import chain
from pathlib import Path

import pytest

FILE = Path(__file__).parent.parent.parent / "benchmarks" / "calibrated" / "texts.py"
TEXTS = [f" = Title {number} = \n{' '.join('abcdefgh')}\n" for number in range(10)]


@pytest.fixture(scope="module")
def texts():
    return runpy.run_path(str(FILE))


def encode(text):
    return [ord(character) for character in text]


def test_articles_start_at_titles_and_not_at_sections(texts):
    text = " = One = \n words \n = = Section = = \n more \n = Two = \n words \n"

    first, second = texts["articles"](text)

    assert first + second == text
    assert second.startswith(" = Two = ")


def test_every_article_is_either_calibrated_on_or_tested_with(texts):
    known = texts["articles"]("".join(TEXTS))
    calibrated, tested = texts["to_calibrate_on"](known), texts["to_test_with"](known)

    assert calibrated == [TEXTS[3], TEXTS[7]]
    assert sorted(calibrated + tested) == TEXTS


def test_pieces_do_not_overlap_and_follow_the_seed(texts):
    numbers = [list(range(25)), list(range(100, 119))]
    sample = texts["sample_pieces"]
    pieces = sample(numbers, list, samples=4, tokens=8, seed=0)

    assert len(set(chain(*pieces))) == 32
    assert all(piece == list(range(piece[0], piece[0] + 8)) for piece in pieces)
    assert sample(numbers, list, samples=4, tokens=8, seed=0) == pieces
    assert sample(numbers, list, samples=4, tokens=8, seed=1) != pieces


def test_too_little_text_is_an_error(texts):
    with pytest.raises(SystemExit, match="hold 2 pieces of 8 tokens, not 3: ask for fewer"):
        texts["sample_pieces"](["abcdefgh" * 2], encode, samples=3, tokens=8, seed=0)

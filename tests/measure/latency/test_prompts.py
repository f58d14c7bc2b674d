"""What a timed workload is served with: fixed lengths, ordinary tokens, the same every time."""

from dataclasses import dataclass

import pytest

from pytest_quantcheck import Latency
from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.measure.latency.prompts import shape_of

BOS, UNKNOWN = 1, 0


@dataclass
class Characters:
    """A tokenizer of characters; those outside its alphabet are one special token."""

    alphabet: str = "abcdefghijklmnopqrstuvwxyz0123456789 "

    def encode(self, text, *, special):
        return [BOS] * special + [ord(c) if c in self.alphabet else UNKNOWN for c in text]

    def decode(self, tokens):
        return "".join(chr(token) for token in tokens if token not in {BOS, UNKNOWN})


def shape(loaded=None, batch_size=1, seed=0, **options):
    workload = Latency(**{"new_tokens": 4, "batch_size": batch_size} | options)
    return shape_of(workload, batch_size, loaded or Characters(), seed=seed)


def test_synthetic_prompts_are_exactly_so_long_and_begin_as_any_prompt():
    made = shape(prompt_tokens=64, batch_size=3)

    assert [len(row) for row in made.prompts] == [64, 64, 64]
    assert {row[0] for row in made.prompts} == {BOS}
    assert len(set(made.prompts)) == 3
    assert (made.new_tokens, made.mode, made.batch_size) == (4, "eager", 3)
    assert shape(prompt_tokens=1).prompts == ((BOS,),)


def test_the_seed_and_the_vocabulary_decide_and_nothing_else():
    once = shape(prompt_tokens=64, batch_size=2)

    assert shape(prompt_tokens=64, batch_size=2) == once
    assert shape(prompt_tokens=64, batch_size=4).prompts[:2] == once.prompts
    assert not set(shape(prompt_tokens=64, batch_size=2, seed=1).prompts) & set(once.prompts)


def test_special_tokens_are_left_out():
    (row,) = shape(Characters("0123456789"), prompt_tokens=200).prompts

    assert UNKNOWN not in row
    assert len(row) == 200


def test_words_are_drawn_until_few_of_their_tokens_are_enough():
    (row,) = shape(Characters("7"), prompt_tokens=100).prompts

    assert row == (BOS, *[ord("7")] * 99)


def test_a_tokenizer_without_tokens_for_words_is_told_to_give_prompts():
    with pytest.raises(MeasurementError, match=r"give prompts=\[…\] in its own alphabet"):
        shape(Characters("αβγ"), prompt_tokens=20)


def test_prompts_fill_the_rows_again_and_again():
    made = shape(prompts=["ab", "cd"], batch_size=5)

    first, second = ((BOS, *map(ord, text)) for text in ("ab", "cd"))
    assert made.prompts == (first, second, first, second, first)


def test_prompts_of_several_lengths_must_be_cut():
    with pytest.raises(UsageError, match=r"2 to 5 tokens long.*prompt_tokens=2"):
        shape(prompts=["a", "abcd"], batch_size=2)

    made = shape(prompts=["a", "abcd"], batch_size=2, prompt_tokens=2)
    assert made.prompts == ((BOS, ord("a")),) * 2
    with pytest.raises(UsageError, match="prompt 0 has 2 tokens, and prompt_tokens=3"):
        shape(prompts=["a", "abcd"], batch_size=2, prompt_tokens=3)

"""Exactly one BOS, never an EOS."""

from __future__ import annotations

import pytest
import tiny_models

from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.measure.engine.encoding import Encoder

BOS, EOS = 1, 2


def encoder(**options):
    return Encoder(tiny_models.make_tokenizer(**options))


@pytest.mark.parametrize("adds_eos", [False, True])
def test_one_bos_stands_before_a_text(adds_eos):
    found = encoder(adds_eos=adds_eos)
    plain = found.encode("the end", special=False)
    assert found.encode("the end", special=True) == [BOS, *plain]
    assert BOS not in plain
    assert EOS not in plain


def test_a_text_that_begins_with_bos_gets_no_second_one():
    found = encoder()
    assert found.encode("<s>the end", special=True) == found.encode("the end", special=True)


def test_a_tokenizer_without_bos_adds_none():
    found = encoder(adds_bos=False, adds_eos=True)
    assert found.encode("the end", special=True) == found.encode("the end", special=False)
    assert found.encode("", special=True) == []


def test_decoding_leaves_special_tokens_out():
    found = encoder()
    assert found.decode([BOS, *found.encode(" the end", special=False), EOS]) == " the end"


def test_documents_stand_after_bos_or_eos():
    found = encoder()
    assert found.prefix_token == BOS
    found.tokenizer.bos_token = None
    assert found.prefix_token == EOS
    with pytest.raises(MeasurementError, match="neither a BOS nor an EOS"):
        _ = encoder(has_specials=False).prefix_token


class WithoutLetters:
    """A tokenizer that knows no letter."""

    bos_token_id = BOS
    eos_token_id = EOS

    def __call__(self, text, *, add_special_tokens, verbose):  # noqa: ARG002
        return {"input_ids": [BOS, EOS] if add_special_tokens else []}


def test_what_stands_before_a_text_is_known_without_knowing_a_letter():
    assert Encoder(WithoutLetters()).encode("a", special=True) == [BOS]


@pytest.mark.parametrize("text", ["a" * 200])
def test_long_texts_are_neither_cut_nor_commented(text, caplog, recwarn):
    assert len(encoder().encode(text, special=True)) == 201
    assert not caplog.records
    assert not recwarn.list

"""Continuations equal the model's own, one prompt at a time."""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest
import torch
import transformers
from continuations import GREEDY, NEW_TOKENS, one_by_one, prompts, short, tokens_of
from engines import in_engine

from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.measure.protocols import NonFiniteLogitsError
from pytest_quantcheck.workloads.decoding import Decoding


@pytest.mark.parametrize(
    ("kind", "variant"),
    [
        *((kind, "fp16") for kind in ("llama", "gpt2", "gemma2", "qwen3", "qwen3_moe", "mamba")),
        *((kind, "int8") for kind in ("llama", "llama_outliers", "gpt2", "qwen3")),
        *((kind, "nf4") for kind in ("llama", "gemma2", "qwen3")),
        ("llama", "fp4"),
    ],
)
def test_batches_continue_as_single_prompts_do(load, kind, variant):
    loaded = load(kind, variant)
    seen = []
    found = loaded.generate(prompts(), GREEDY, advance=lambda *step: seen.append(step))
    expected = one_by_one(loaded.model, prompts())
    assert tokens_of(found) == expected
    assert [one.text for one in found] == [loaded.decode(tokens) for tokens in expected]
    assert [one.is_truncated for one in found] == [len(one) == NEW_TOKENS for one in expected]
    assert seen[-1][0] == len(prompts())


def test_outputs_end_before_the_first_end_token(load):
    loaded = load("llama", "fp16")
    free = tokens_of(loaded.generate(prompts(), GREEDY))
    end = free[0][3]
    early = in_engine(loaded)
    early._generator.ending = replace(early._generator.ending, tokens=(end, 2))
    for before, after in zip(free, early.generate(prompts(), GREEDY), strict=True):
        assert after.tokens == (before[: before.index(end)] if end in before else before)
        assert after.is_truncated == (end not in before and len(before) == NEW_TOKENS)


def test_the_checkpoints_own_settings_have_no_effect(load):
    loaded = load("llama", "fp16")
    expected = loaded.generate(prompts(), GREEDY)
    own = loaded.model.generation_config
    disturbing = transformers.GenerationConfig(
        do_sample=True,
        temperature=3.0,
        num_beams=3,
        repetition_penalty=9.0,
        no_repeat_ngram_size=1,
        min_new_tokens=NEW_TOKENS,
        suppress_tokens=list(range(4, 60)),
        eos_token_id=2,
    )
    loaded.model.generation_config = disturbing
    try:
        assert loaded.generate(prompts(), GREEDY) == expected
        assert loaded.model.generation_config is disturbing
    finally:
        loaded.model.generation_config = own


def test_models_without_an_end_token_generate_to_the_last(load):
    endless = in_engine(load("llama", "fp16"))
    endless._generator.ending = replace(endless._generator.ending, tokens=())
    assert {len(one.tokens) for one in endless.generate(prompts(), short(5))} == {5}


@pytest.mark.parametrize(("ends", "expected"), [([2, 5], (2, 5)), (7, (7,)), (None, (2,))])
def test_end_tokens_are_the_generation_configs_else_the_tokenizers(load, ends, expected):
    loaded = load("llama", "fp16")
    own = loaded.model.generation_config.eos_token_id
    loaded.model.generation_config.eos_token_id = ends
    try:
        assert in_engine(loaded)._generator.ending.tokens == expected
    finally:
        loaded.model.generation_config.eos_token_id = own


def test_logits_that_are_not_finite_name_the_prompt(load, monkeypatch):
    loaded = load("mamba", "fp16")
    real = loaded.model.generate

    def broken(*, logits_processor, **options):
        def poisoned(tokens, logits):
            return logits_processor[0](tokens, logits.index_fill(0, torch.tensor([1]), torch.nan))

        return real(logits_processor=[poisoned], **options)

    monkeypatch.setattr(loaded.model, "generate", broken)
    with pytest.raises(NonFiniteLogitsError, match="not finite") as caught:
        in_engine(loaded).generate([[5, 6], [7, 8], [9, 9]], short(3))
    assert caught.value.request == 1


def scarce(loaded, monkeypatch, most):
    """Let memory run out under more than `most` sequences; return the sizes tried."""
    real, sizes = loaded.model.generate, []

    def generate(*, input_ids, **options):
        sizes.append(len(input_ids))
        if len(input_ids) > most:
            raise torch.OutOfMemoryError
        return real(input_ids=input_ids, **options)

    monkeypatch.setattr(loaded.model, "generate", generate)
    return sizes


def test_out_of_memory_starts_again_in_smaller_packs(load, monkeypatch):
    loaded = load("mamba", "fp16")
    asked = [[5, 6 + i] for i in range(12)]
    expected = loaded.generate(asked, short(3))
    sizes = scarce(loaded, monkeypatch, 4)
    tight = in_engine(loaded)
    assert tight.generate(asked, short(3)) == expected
    assert sizes == [12, 6, 3, 3, 3, 3]
    assert (loaded.pack_limit, tight.pack_limit) == (None, 3)


def test_one_prompt_that_does_not_fit_is_an_error(load, monkeypatch):
    loaded = load("mamba", "fp16")
    scarce(loaded, monkeypatch, 0)
    with pytest.raises(MeasurementError, match="a prompt of 2 tokens with 3 new ones"):
        in_engine(loaded).generate([[5, 6], [7, 8], [9, 9]], short(3))


def stopped(*strings, new_tokens=NEW_TOKENS):
    return Decoding(max_new_tokens=new_tokens, stop=strings)


def stops_in(loaded):
    """Return strings of one, two and four characters that occur in what the model writes."""
    texts = [one.text for one in loaded.generate(prompts(), GREEDY)]
    return [text[3 : 3 + size] for text, size in zip(texts, (1, 2, 4), strict=False)]


def spans(prompt, output, strings):
    """Return whether a stop string begins in the prompt and ends in the output."""
    near = [prompt[-size:] + output[:size] for size in range(1, max(map(len, strings)))]
    own = [one for one in strings if one in output]
    return any(one in text for text in near for one in strings if one not in own)


@pytest.mark.parametrize(
    ("kind", "variant"),
    [("llama", "fp16"), ("gpt2", "fp16"), ("gemma2", "fp16"), ("mamba", "fp16"), ("llama", "int8")],
)
def test_stop_strings_end_each_output_as_transformers_does_one_at_a_time(load, kind, variant):
    loaded = load(kind, variant)
    strings = stops_in(loaded)
    found = loaded.generate(prompts(), stopped(*strings))
    n_stopped = n_compared = 0
    for prompt, ours in zip(prompts(), found, strict=True):
        ids = torch.tensor([prompt])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = loaded.model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                max_new_tokens=NEW_TOKENS,
                eos_token_id=2,
                pad_token_id=0,
                stop_strings=strings,
                tokenizer=loaded.tokenizer,
            )[0, len(prompt) :].tolist()
        whole = loaded.decode(theirs)
        if spans(loaded.decode(prompt), whole, strings):
            continue  # transformers looks into the prompt; here the output alone counts
        starts = [start for one in strings if (start := whole.find(one)) >= 0]
        assert ours.text == whole[: min(starts, default=None)]
        assert list(ours.tokens) == [token for token in theirs if token != 2]
        n_stopped += bool(starts)
        n_compared += 1
        assert ours.is_truncated == (not starts and len(theirs) == NEW_TOKENS and 2 not in theirs)
    assert n_stopped > 1
    assert n_compared > 9


def test_a_stop_string_in_the_prompt_ends_nothing(load):
    loaded = load("llama", "fp16")
    free = loaded.generate([loaded.encode("Q: the", special=True)], GREEDY)
    held = loaded.generate([loaded.encode("Q: the", special=True)], stopped("Q:"))
    assert free == held


def test_one_rows_stop_leaves_the_others_alone(load):
    loaded = load("llama", "fp16")
    asked = [[5, 6 + i] for i in range(8)]
    (first, *_) = loaded.generate(asked, GREEDY)
    decoding = stopped(first.text[:2])
    together = loaded.generate(asked, decoding)
    assert together == [loaded.generate([prompt], decoding)[0] for prompt in asked]
    assert (together[0].text, together[0].is_truncated) == ("", False)
    assert len({len(one.tokens) for one in together}) > 1

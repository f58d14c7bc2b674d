"""Greedy continuations equal the model's own, one prompt at a time."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
import transformers
from test_scoring import under

from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.measure.protocols import NonFiniteLogitsError

NEW_TOKENS = 12


def prompts(count=12):
    rng = np.random.default_rng(3)
    found = [rng.integers(4, 80, size=int(rng.integers(2, 9))).tolist() for _ in range(count)]
    return [*found, found[0]]


def one_by_one(model, asked, new_tokens=NEW_TOKENS):
    config = transformers.GenerationConfig(
        do_sample=False, max_new_tokens=new_tokens, eos_token_id=2, pad_token_id=0
    )
    found = []
    for prompt in asked:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ids = torch.tensor([prompt])
            output = model.generate(
                ids, attention_mask=torch.ones_like(ids), generation_config=config
            )
        tokens = output[0, len(prompt) :].tolist()
        found.append(tuple(tokens[: tokens.index(2)] if 2 in tokens else tokens))
    return found


@pytest.mark.parametrize(
    ("kind", "variant"),
    [("llama", "fp16"), ("gpt2", "fp16"), ("gemma2", "fp16"), ("mamba", "fp16"), ("qwen3", "nf4")],
)
def test_batches_continue_as_single_prompts_do(load, kind, variant):
    loaded = load(kind, variant)
    seen = []
    found = loaded.generate(prompts(), NEW_TOKENS, advance=lambda *step: seen.append(step))
    assert found == one_by_one(loaded.model, prompts())
    assert seen[-1][0] == len(prompts())


def test_outputs_end_before_the_first_end_token(load):
    loaded = load("llama", "fp16")
    free = loaded.generate(prompts(), NEW_TOKENS)
    end = free[0][3]
    early = under(loaded, None)
    early._generator._ends = (end, 2)
    for before, after in zip(free, early.generate(prompts(), NEW_TOKENS), strict=True):
        assert after == (before[: before.index(end)] if end in before else before)


def test_the_checkpoints_own_settings_have_no_effect(load):
    loaded = load("llama", "fp16")
    expected = loaded.generate(prompts(), NEW_TOKENS)
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
        assert loaded.generate(prompts(), NEW_TOKENS) == expected
        assert loaded.model.generation_config is disturbing
    finally:
        loaded.model.generation_config = own


def test_models_without_an_end_token_generate_to_the_last(load):
    endless = under(load("llama", "fp16"), None)
    endless._generator._ends = ()
    assert {len(one) for one in endless.generate(prompts(), 5)} == {5}


@pytest.mark.parametrize(("ends", "expected"), [([2, 5], (2, 5)), (7, (7,)), (None, (2,))])
def test_end_tokens_are_the_generation_configs_else_the_tokenizers(load, ends, expected):
    loaded = load("llama", "fp16")
    own = loaded.model.generation_config.eos_token_id
    loaded.model.generation_config.eos_token_id = ends
    try:
        assert under(loaded, None)._generator._ends == expected
    finally:
        loaded.model.generation_config.eos_token_id = own


def test_logits_that_are_not_finite_name_the_prompt(load, monkeypatch):
    loaded = load("llama", "fp16")
    real = loaded.model.generate

    def broken(*, logits_processor, **options):
        def poisoned(tokens, logits):
            return logits_processor[0](tokens, logits.index_fill(0, torch.tensor([1]), torch.nan))

        return real(logits_processor=[poisoned], **options)

    monkeypatch.setattr(loaded.model, "generate", broken)
    with pytest.raises(NonFiniteLogitsError, match="not finite") as caught:
        under(loaded, None).generate([[5, 6], [7, 8], [9, 9]], 3)
    assert caught.value.request == 1


@pytest.mark.parametrize("times", [1, 99])
def test_out_of_memory_halves_the_batch_and_then_says_what_does_not_fit(load, monkeypatch, times):
    loaded = load("llama", "fp16")
    asked = [[5, 6], [7, 8], [9, 9]]
    expected = loaded.generate(asked, 3)
    real, left = loaded.model.generate, [times]

    def scarce(**options):
        if left[0]:
            left[0] -= 1
            raise torch.OutOfMemoryError
        return real(**options)

    monkeypatch.setattr(loaded.model, "generate", scarce)
    if times == 1:
        assert under(loaded, None).generate(asked, 3) == expected
    else:
        with pytest.raises(MeasurementError, match="a prompt of 2 tokens with 3 new ones"):
            under(loaded, None).generate(asked, 3)

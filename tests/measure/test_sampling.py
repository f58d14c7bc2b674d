"""Samples follow the model's distribution, and depend on nothing but seed and example."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from continuations import NEW_TOKENS, prompts, tokens_of

from pytest_quantcheck.measure.engine.sampling import Sampler, SamplingProcessor, uniforms
from pytest_quantcheck.workloads.decoding import Decoding

SAMPLED = Decoding(max_new_tokens=NEW_TOKENS, temperature=0.8, top_k=40, top_p=0.95)


@pytest.mark.parametrize(
    ("kind", "variant"),
    [("llama", "fp16"), ("gpt2", "fp16"), ("gemma2", "fp16"), ("mamba", "fp16"), ("qwen3", "int8")],
)
def test_samples_do_not_depend_on_the_batch(load, kind, variant):
    loaded = load(kind, variant)
    asked = prompts() * 2
    streams = [SAMPLED.stream(f"{index}") for index in range(len(asked))]
    together = loaded.generate(asked, SAMPLED, streams=streams)
    alone = [
        loaded.generate([prompt], SAMPLED, streams=[stream])[0]
        for prompt, stream in zip(asked, streams, strict=True)
    ]
    assert together == alone
    assert len(set(tokens_of(together))) > len(prompts())
    assert together == loaded.generate(asked, SAMPLED, streams=streams)


def test_tokens_are_sampled_as_often_as_the_model_says(load):
    loaded = load("llama", "fp16")
    prompt = [5, 6, 7]
    decoding = Decoding(max_new_tokens=1, temperature=0.7, top_k=12, top_p=0.9)
    n = 4000
    streams = [decoding.stream(f"a#{index}") for index in range(n)]
    found = loaded.generate([prompt] * n, decoding, streams=streams)
    with torch.no_grad():
        logits = loaded.model(torch.tensor([prompt])).logits[0, -1].double() / 0.7
    kept = logits.topk(12)
    shares = kept.values.softmax(-1)
    n_kept = int((shares.cumsum(-1) < 0.9).sum()) + 1
    shares = shares[:n_kept] / shares[:n_kept].sum()
    ids = kept.indices[:n_kept].tolist()
    counts = np.array([sum(one.tokens == (token,) for one in found) for token in ids])
    assert 2 not in ids  # the end token would leave no tokens behind
    assert counts.sum() == n
    expected = n * shares.numpy()
    # Pearson's chi-square, six standard deviations above its mean.
    statistic = float((((counts - expected) ** 2) / expected).sum())
    assert statistic < (n_kept - 1) + 6 * np.sqrt(2 * (n_kept - 1))


def test_reference_and_variant_share_their_random_numbers(load):
    asked = [prompts()[0]] * 40
    streams = [SAMPLED.stream(f"{index}") for index in range(40)]
    first = Decoding(max_new_tokens=1, temperature=1.0)
    pairs = [
        load("llama", name).generate(asked, first, streams=streams) for name in ("fp16", "fp4")
    ]
    other = load("llama", "fp16").generate(asked, first, streams=[one ^ 1 for one in streams])
    same = sum(one.tokens == two.tokens for one, two in zip(*pairs, strict=True))
    by_chance = sum(one.tokens == two.tokens for one, two in zip(pairs[0], other, strict=True))
    assert same > 1.5 * by_chance


def test_every_token_of_a_sample_has_random_numbers_of_its_own():
    plain, streams, vocabulary = Decoding(max_new_tokens=3, temperature=1.0), (7, -8), 50
    logits = torch.zeros(2, vocabulary)

    noise = [Sampler(plain).noisy(logits, streams, (step, step)) for step in range(3)]

    numbers = uniforms(torch.tensor(streams)[:, None], torch.arange(3 * vocabulary))
    assert torch.equal(torch.cat(noise, dim=1), -(-numbers.log()).log())
    assert len(numbers.unique()) == numbers.numel()


def test_the_loop_of_transformers_takes_the_same_numbers_step_by_step():
    streams, logits = (7, -8), torch.randn(2, 50, generator=torch.Generator().manual_seed(0))
    in_loop = SamplingProcessor(SAMPLED, streams)

    for step in range(3):
        expected = Sampler(SAMPLED).noisy(logits, streams, (step, step))
        assert torch.equal(in_loop(torch.zeros(2, step), logits), expected)


def test_uniform_numbers_are_those_of_splitmix64():
    # First outputs for the seed 1234567: rosettacode.org, Pseudo-random numbers/Splitmix64.
    known = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    found = uniforms(torch.tensor([[1234567]]), torch.arange(3))[0]
    assert [int(one * 2**52) for one in found.tolist()] == [value >> 12 for value in known]

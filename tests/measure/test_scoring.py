"""The engine's log-likelihoods equal a loop over single sequences."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_models
import torch
from engines import in_batches
from trees import requests

from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.measure.engine.plan import Limits, plan_batches
from pytest_quantcheck.measure.protocols import NonFiniteLogitsError, ScoreRequest

NATS_PER_TOKEN = 1e-4
SEGMENTS_OF_16 = Limits(batch_tokens=2048, logits=16 * tiny_models.VOCABULARY)
OUTLIER = 6.0
MATRIX = [
    *((kind, name) for kind in ("llama", "qwen3") for name in ("fp16", "bf16", "nf4")),
    *((kind, name) for kind in ("gpt2", "gemma2") for name in ("fp16", "nf4", "fp4")),
    ("llama", "fp32"),
    ("llama_outliers", "fp16"),
    ("llama_outliers", "nf4"),
    ("qwen3_moe", "fp16"),
    ("mamba", "fp16"),
]


def largest_difference(scores, model, asked):
    return max(
        float(np.abs(found - tiny_models.naive_scores(model, one.tokens, one.first_target)).max())
        for found, one in zip(scores, asked, strict=True)
    )


@pytest.mark.parametrize(("kind", "variant"), MATRIX)
def test_batches_score_as_single_sequences_do(load, kind, variant):
    loaded = load(kind, variant)
    asked = requests()
    scores = loaded.score(asked)
    assert [len(one) for one in scores] == [len(one.tokens) - one.first_target for one in asked]
    assert {one.dtype for one in scores} == {np.dtype(np.float32)}
    assert largest_difference(scores, loaded.model, asked) < NATS_PER_TOKEN


@pytest.mark.parametrize("kind", ["llama", "gpt2", "qwen3", "gemma2", "llama_outliers"])
def test_int8_scores_in_batches_as_single_sequences_do(load, kind):
    loaded = load(kind, "int8")
    asked = requests()
    scores = in_batches(loaded).score(asked)
    assert largest_difference(scores, loaded.model, asked) < NATS_PER_TOKEN


def test_bitsandbytes_alone_would_tie_a_sequence_to_its_batch(load):
    # A column with an outlier in any row is multiplied in 16 bits for all rows of the batch.
    loaded = load("llama_outliers", "int8")
    layers = [m for m in loaded.model.modules() if type(m).__name__ == "Linear8bitLt"]
    separate = {layer: layer.__dict__.pop("forward") for layer in layers}
    largest = []
    hooks = [
        layer.register_forward_pre_hook(lambda _, args: largest.append(args[0].abs().max()))
        for layer in layers
    ]
    asked = requests()
    scores = in_batches(loaded).score(asked)
    for hook in hooks:
        hook.remove()
    for layer, forward in separate.items():
        layer.forward = forward
    assert len(layers) == 14
    assert max(largest) >= OUTLIER
    assert 10 * NATS_PER_TOKEN < largest_difference(scores, loaded.model, asked) < 0.5


@pytest.mark.parametrize("variant", ["fp16", "int8", "nf4"])
def test_scores_depend_on_the_set_of_requests_and_not_on_their_order(load, variant):
    loaded = load("llama_outliers", variant)
    asked = requests()
    order = np.random.default_rng(5).permutation(len(asked))
    scores = loaded.score(asked)
    shuffled = loaded.score([asked[index] for index in order])
    assert all(np.array_equal(scores[i], one) for i, one in zip(order, shuffled, strict=True))


@pytest.mark.parametrize("kind", ["llama", "gpt2", "qwen3", "gemma2", "qwen3_moe"])
def test_segments_through_the_cache_equal_the_whole_sequence(load, kind):
    loaded = load(kind, "fp16")
    rng = np.random.default_rng(1)
    long = tuple(rng.integers(4, 80, size=90).tolist())
    asked = [
        ScoreRequest(tokens=long, first_target=1),
        ScoreRequest(tokens=(*long[:-1], 7), first_target=50),
        ScoreRequest(tokens=long[:40], first_target=39),
    ]
    in_segments = in_batches(loaded, SEGMENTS_OF_16)
    assert in_segments._batches._forward.segments
    calls = count_calls(loaded.model)
    scores = in_segments.score(asked)
    assert calls() == 6 + 1  # 89 inputs in 6 segments, and one sequence with a single row
    assert largest_difference(scores, loaded.model, asked) < NATS_PER_TOKEN


def test_recurrent_states_are_forwarded_whole(load):
    loaded = load("mamba", "fp16")
    in_segments = in_batches(loaded, SEGMENTS_OF_16)
    tokens = tuple(np.random.default_rng(1).integers(4, 80, size=60).tolist())
    asked = [ScoreRequest(tokens=tokens, first_target=1)]
    assert not in_segments._batches._forward.segments
    assert largest_difference(in_segments.score(asked), loaded.model, asked) < NATS_PER_TOKEN


def test_models_that_cannot_keep_rows_score_the_same(load, monkeypatch):
    loaded = load("llama", "fp16")
    forward = loaded.model.forward

    def bare(input_ids, past_key_values=None, *, use_cache=False):
        return forward(input_ids, past_key_values=past_key_values, use_cache=use_cache)

    monkeypatch.setattr(loaded.model, "forward", bare)
    asked = requests()
    for limits in (Limits(batch_tokens=64, logits=2**31), SEGMENTS_OF_16):
        plain = in_batches(loaded, limits)
        assert not plain._batches._forward.keeps_rows
        assert largest_difference(plain.score(asked), loaded.model, asked) < NATS_PER_TOKEN


def test_requests_with_equal_inputs_share_one_pass(load):
    loaded = load("llama", "fp16")
    letters = [ScoreRequest(tokens=(1, 20, 30, 40, letter), first_target=4) for letter in range(9)]
    loaded.score(letters[:1])  # the plan is tried when the model is first asked
    calls = count_calls(loaded.model)
    scores = loaded.score(letters)
    assert calls() == 1
    assert len({float(one[0]) for one in scores}) == len(letters)


def test_progress_counts_requests_and_forwarded_tokens(load):
    seen = []
    asked = requests()
    load("llama", "fp16").score(asked, advance=lambda done, tokens: seen.append((done, tokens)))
    assert seen == sorted(seen)
    distinct = {one.tokens[:-1] for one in asked}
    assert seen[-1] == (len(asked), sum(map(len, distinct)))


def count_calls(model):
    """Return what tells how often the model was called since."""
    calls = []
    hook = model.register_forward_pre_hook(lambda *_: calls.append(1))

    def total():
        hook.remove()
        return len(calls)

    return total


def exhaust(monkeypatch, model, *, times=1, above=0):
    """Let memory run out `times` times in passes of more than `above` tokens."""
    forward = model.forward
    left = [times]

    def forward_or_fail(input_ids, past_key_values=None, *, use_cache=False, logits_to_keep=0):
        if left[0] and input_ids.numel() > above:
            left[0] -= 1
            raise torch.OutOfMemoryError
        return forward(
            input_ids,
            past_key_values=past_key_values,
            use_cache=use_cache,
            logits_to_keep=logits_to_keep,
        )

    monkeypatch.setattr(model, "forward", forward_or_fail)
    return left


@pytest.mark.parametrize("times", [1, 3])
def test_out_of_memory_halves_the_batch(load, monkeypatch, times):
    loaded = load("llama", "fp16")
    asked = [ScoreRequest(tokens=(1, 20, 30 + n, 40), first_target=2) for n in range(8)]
    left = exhaust(monkeypatch, loaded.model, times=times)
    scores = in_batches(loaded).score(asked)
    assert left == [0]
    assert largest_difference(scores, loaded.model, asked) < NATS_PER_TOKEN


def test_out_of_memory_with_one_sequence_shortens_segments(load, monkeypatch):
    loaded = load("llama", "fp16")
    tokens = tuple(np.random.default_rng(2).integers(4, 80, size=81).tolist())
    asked = [ScoreRequest(tokens=tokens, first_target=3)]
    expected = loaded.score(asked)
    exhaust(monkeypatch, loaded.model, times=99, above=20)
    scores = in_batches(loaded).score(asked)
    assert np.allclose(scores[0], expected[0], atol=NATS_PER_TOKEN)


def test_a_sequence_that_never_fits_is_an_error_with_its_length(load, monkeypatch):
    loaded = load("llama", "fp16")
    exhaust(monkeypatch, loaded.model, times=99)
    asked = [ScoreRequest(tokens=(1, *range(10, 60)), first_target=1)]
    with pytest.raises(MeasurementError, match="out of memory on cpu: one sequence of 50 tokens"):
        in_batches(loaded).score(asked)


def poison(monkeypatch, model, value, *, row=1, column=slice(None)):
    """Put `value` into the logits of one sequence of each batch."""
    forward = model.forward

    def poisoned(input_ids, *, use_cache=False, logits_to_keep=0):
        output = forward(input_ids, use_cache=use_cache, logits_to_keep=logits_to_keep)
        output.logits = output.logits.clone()
        output.logits[row, :, column] = value
        return output

    monkeypatch.setattr(model, "forward", poisoned)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_name_the_request(load, monkeypatch, value):
    loaded = load("llama", "fp16")
    poison(monkeypatch, loaded.model, value)
    asked = [ScoreRequest(tokens=(1, 20, 30 + n, 40), first_target=2) for n in range(3)]
    with pytest.raises(NonFiniteLogitsError, match="logits are not finite") as caught:
        in_batches(loaded).score(asked)
    assert caught.value.request == 1
    with pytest.raises(NonFiniteLogitsError, match=r"LLM.int8 casts"):
        in_batches(loaded, overflow_note="LLM.int8 casts").score(asked)


def test_a_token_the_model_rules_out_has_a_log_likelihood_of_minus_infinity(load, monkeypatch):
    loaded = load("llama", "fp16")
    poison(monkeypatch, loaded.model, float("-inf"), row=0, column=40)
    scores = in_batches(loaded).score([ScoreRequest(tokens=(1, 20, 30, 40), first_target=2)])
    assert np.isfinite(scores[0][0])
    assert scores[0][1] == -np.inf


def test_what_breaks_inside_the_architecture_is_no_regression(load):
    # Mamba reads the weight of its output projection itself, which bitsandbytes has packed.
    asked = [ScoreRequest(tokens=(1, 20, 30, 40), first_target=2)]
    with pytest.raises(MeasurementError, match=r"scoring failed inside the model.*no regression"):
        load("mamba", "nf4").score(asked)


def test_batches_hold_one_length_within_the_limits():
    asked = requests(count=200)
    limits = Limits(batch_tokens=100, logits=3000)
    batches = plan_batches(asked, limits, vocabulary=50)
    assert sorted(
        index for batch in batches for unit in batch.units for index in unit.requests
    ) == (list(range(len(asked))))
    lengths = [batch.length for batch in batches]
    assert lengths == sorted(lengths, reverse=True)
    for batch in batches:
        assert {len(unit.inputs) for unit in batch.units} == {batch.length}
        if len(batch.units) > 1:
            assert batch.tokens <= limits.batch_tokens
            assert len(batch.units) * (batch.length - batch.first_row) * 50 <= limits.logits


def test_a_closed_variant_says_so(load):
    closed = in_batches(load("llama", "fp16"), None)
    closed.close()
    with pytest.raises(MeasurementError, match="was closed"):
        closed.score([])
    with pytest.raises(MeasurementError, match="was closed"):
        closed.generate([[1]], 1)
    with pytest.raises(MeasurementError, match="was closed"):
        _ = closed.model

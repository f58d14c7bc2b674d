"""Scores from packs equal a loop over single sequences."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import tiny_models
import torch
import transformers
import trees
from engines import in_engine
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.measure.engine import causal, likelihoods
from pytest_quantcheck.measure.engine.llm_int8.rooms import Rooms
from pytest_quantcheck.measure.engine.loaded import CUDA_LIMITS
from pytest_quantcheck.measure.engine.plan import Limits
from pytest_quantcheck.measure.protocols import NonFiniteLogitsError

NATS_PER_TOKEN = 1e-4
PACKED = "packed tree, segments"
SMALL = Limits(batch_tokens=90, logits=2**26)
MATRIX = [
    *((kind, name) for kind in ("llama", "qwen3") for name in ("fp16", "bf16", "nf4")),
    ("gpt2", "fp16"),
    ("qwen3_moe", "fp16"),
]


def largest_difference(scores, model, asked):
    return max(
        float(np.abs(found - tiny_models.naive_scores(model, one.tokens, one.first_target)).max())
        for found, one in zip(scores, asked, strict=True)
    )


@pytest.mark.parametrize("limits", [None, SMALL], ids=["one pack", "many"])
@pytest.mark.parametrize(("kind", "variant"), MATRIX)
def test_packs_score_as_single_sequences_do(load, kind, variant, limits):
    model = in_engine(load(kind, variant), limits)
    asked = trees.few_shot()
    scores = model.score(asked)
    assert model.plan == PACKED
    assert [len(one) for one in scores] == [len(one.tokens) - one.first_target for one in asked]
    assert {one.dtype for one in scores} == {np.dtype(np.float32)}
    assert largest_difference(scores, model.model, asked) < NATS_PER_TOKEN


@pytest.fixture(scope="module")
def llama(load):
    return load("llama", "fp16")


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), tokens=st.integers(1, 300))
def test_whatever_is_asked_scores_as_single_sequences_do(llama, seed, tokens):
    asked = trees.few_shot(seed, questions=seed % 4, options=1 + seed % 5, shots=seed % 24)
    scores = in_engine(llama, Limits(batch_tokens=tokens, logits=2**26)).score(asked)
    assert largest_difference(scores, llama.model, asked) < NATS_PER_TOKEN


@pytest.mark.parametrize("kind", ["llama_outliers", "gpt2"])
def test_int8_scores_do_not_depend_on_pack_mates(load, kind):
    loaded = load(kind, "int8")
    asked = trees.few_shot(questions=4)
    together = in_engine(loaded).score(asked)
    in_small_packs = in_engine(loaded, SMALL).score(asked)
    for one, other in zip(together, in_small_packs, strict=True):
        assert np.abs(one - other).max() < NATS_PER_TOKEN


def test_int8_rounds_a_shared_beginning_by_its_own_outliers(load):
    # Alone, the rows of a context also lose the columns in which an option has outliers.
    loaded = load("llama_outliers", "int8")
    asked = trees.few_shot()
    assert largest_difference(in_engine(loaded).score(asked), loaded.model, asked) < 0.2


class Blind(Rooms):
    """Expects no outlier columns until it is told of some."""

    is_blind = True

    def of(self, name, rows):
        return 0 if self.is_blind else super().of(name, rows)

    def forget(self):
        self.is_blind = False
        super().forget()


def test_packs_whose_outlier_columns_found_no_room_are_scored_again(load):
    loaded = load("llama_outliers", "int8")
    asked = trees.few_shot(questions=8)
    model = in_engine(loaded, SMALL)
    expected = model.score(asked)
    forward = model._chosen().forward
    packs = list(forward.plan(asked, SMALL))
    forward.rooms = Blind()
    passes, told = [], []
    hook = loaded.model.get_input_embeddings().register_forward_hook(lambda *_: passes.append(1))
    found = model.score(asked, advance=lambda *counts: told.append(counts))
    hook.remove()
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one, other)
    assert len(packs) < len(passes) <= 2 * len(packs)
    assert told[-1] == (len(asked), sum(pack.tokens.size for pack in packs))


def test_rows_are_read_in_chunks(llama, monkeypatch):
    asked = trees.few_shot()
    expected = in_engine(llama).score(asked)
    monkeypatch.setattr(likelihoods, "_CPU_ELEMENTS", 7 * tiny_models.VOCABULARY)
    for one, other in zip(in_engine(llama).score(asked), expected, strict=True):
        assert np.allclose(one, other, atol=1e-5)


def test_only_needed_rows_reach_the_head(llama):
    rows = []
    head = llama.model.get_output_embeddings()
    model = in_engine(llama)
    model.score([trees.ask((1, 2, 3))])  # the choice of a plan
    hook = head.register_forward_pre_hook(lambda _, args: rows.append(args[0].shape[-2]))
    context = range(4, 44)
    model.score([trees.ask((*context, 50 + n, 60), 40) for n in range(6)])
    hook.remove()
    assert rows == [1 + 6]


def test_scores_do_not_depend_on_the_order_of_requests(llama):
    asked = trees.few_shot()
    order = np.random.default_rng(5).permutation(len(asked))
    scores = in_engine(llama, SMALL).score(asked)
    shuffled = in_engine(llama, SMALL).score([asked[index] for index in order])
    assert all(np.array_equal(scores[i], one) for i, one in zip(order, shuffled, strict=True))


def test_progress_counts_requests_and_forwarded_tokens(llama):
    seen = []
    asked = trees.few_shot()
    in_engine(llama, SMALL).score(asked, advance=lambda done, tokens: seen.append((done, tokens)))
    assert seen == sorted(seen)
    assert len(seen) > 2
    assert seen[-1][0] == len(asked)
    assert seen[-1][1] < sum(len(one.tokens) - 1 for one in asked)


def test_no_requests_have_no_scores(llama):
    assert in_engine(llama).score([]) == []


def test_nothing_of_the_library_is_left_changed(llama):
    before = (dict(ALL_ATTENTION_FUNCTIONS), llama.model.config._attn_implementation)
    in_engine(llama).score(trees.few_shot())
    assert (dict(ALL_ATTENTION_FUNCTIONS), llama.model.config._attn_implementation) == before


def test_sequences_longer_than_a_window_go_alone(load):
    config = tiny_models.make_config("llama").to_dict() | {"sliding_window": 40}
    config.pop("model_type")
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        mistral = transformers.MistralForCausalLM(transformers.MistralConfig(**config)).eval()
    model = in_engine(load("llama", "fp16"), model=mistral)
    asked = trees.few_shot()
    assert {len(one.tokens) > 40 for one in asked} == {True, False}
    seen = []
    scores = model.score(asked, advance=lambda *told: seen.append(told))
    assert model.plan == PACKED
    assert largest_difference(scores, mistral, asked) < NATS_PER_TOKEN
    assert seen[-1][0] == len(asked)


def exhaust(monkeypatch, model, *, above, times=10**6):
    """Let memory run out in passes of more than `above` tokens."""
    body, left = model.base_model, [times]
    forward = body.forward

    def forward_or_fail(input_ids, **options):
        if left[0] and input_ids.numel() > above:
            left[0] -= 1
            raise torch.OutOfMemoryError
        return forward(input_ids=input_ids, **options)

    monkeypatch.setattr(body, "forward", forward_or_fail)


def test_out_of_memory_halves_the_sequences_of_a_pack(llama, monkeypatch):
    model = in_engine(llama)
    asked = trees.few_shot()
    expected = model.score(asked)
    exhaust(monkeypatch, llama.model, above=150)
    found = model.score(asked)
    assert model.pack_limit == len(asked) // 2
    for one, other in zip(found, expected, strict=True):
        assert np.allclose(one, other, atol=1e-5)


def test_a_sequence_too_long_for_memory_goes_alone_in_shorter_parts(llama, monkeypatch):
    model = in_engine(llama)
    asked = [trees.ask(range(4, 85), 3), *trees.few_shot(questions=1)]
    expected = model.score(asked)
    exhaust(monkeypatch, llama.model, above=70)
    found = model.score(asked)
    for one, other in zip(found, expected, strict=True):
        assert np.allclose(one, other, atol=NATS_PER_TOKEN)


def test_a_sequence_that_never_fits_is_an_error_with_its_length(llama, monkeypatch):
    model = in_engine(llama)
    model.score([trees.ask((1, 2, 3))])
    exhaust(monkeypatch, llama.model, above=0)
    with pytest.raises(MeasurementError, match="out of memory on cpu: one sequence of 50 tokens"):
        model.score([trees.ask((1, *range(10, 60)))])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_name_the_request(llama, monkeypatch, value):
    model = in_engine(llama)
    asked = [trees.ask((1, 20, 30 + n, 40), 2) for n in range(3)]
    model.score(asked)
    body = llama.model.base_model
    forward = body.forward

    def poisoned(input_ids, **options):
        output = forward(input_ids=input_ids, **options)
        output.last_hidden_state = output.last_hidden_state.clone()
        output.last_hidden_state[input_ids == 31] = value
        return output

    monkeypatch.setattr(body, "forward", poisoned)
    with pytest.raises(NonFiniteLogitsError, match="logits are not finite") as caught:
        model.score(asked)
    assert caught.value.request == 1


@pytest.mark.parametrize(
    ("config", "tokens"),
    [
        (transformers.LlamaConfig(intermediate_size=1_024), 65_536),
        (transformers.LlamaConfig(intermediate_size=4_096), 24_414),
        (transformers.LlamaConfig(intermediate_size=14_336), 6_975),
        (transformers.OPTConfig(ffn_dim=8_192), 12_207),
        (transformers.GPT2Config(n_embd=4_096), 6_103),
    ],
    ids=["narrow", "usual", "wide", "OPT", "GPT-2"],
)
def test_packs_have_fewer_tokens_where_layers_are_wide(config, tokens):
    assert causal._pack_tokens(SimpleNamespace(config=config), CUDA_LIMITS) == tokens


def test_wide_layers_really_make_packs_smaller(llama, monkeypatch):
    monkeypatch.setattr(causal, "_WIDEST_ELEMENTS", 90 * 128)
    seen = []
    in_engine(llama).score(trees.few_shot(), advance=lambda *told: seen.append(told))
    assert len(seen) > 2

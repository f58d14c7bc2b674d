"""Rows of different lengths: each as if it were alone, and none waits for another."""

from __future__ import annotations

from dataclasses import replace
from functools import wraps

import numpy as np
import pytest
import tiny_models
import torch
import transformers
from continuations import GREEDY, NEW_TOKENS, one_by_one, prompts, short, tokens_of
from engines import in_engine

from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.measure.engine.continuous import Machine
from pytest_quantcheck.measure.engine.layout import layout_of
from pytest_quantcheck.measure.engine.row_probe import checked_layout
from pytest_quantcheck.measure.engine.stopping import has_stopped
from pytest_quantcheck.measure.protocols import NonFiniteLogitsError

ROWS, EQUAL_LENGTHS = "rows of a shared cache", "batches of prompts of equal length"


def watched(loaded, monkeypatch, *, most=10**6):
    """Return the (rows, tokens) of every pass; memory runs out under more than `most` rows."""
    assert loaded._generator.layout is not None  # tried now, so that its passes are not counted
    real, sizes = type(loaded.model).forward, []

    @wraps(real)
    def forward(model, **options):
        sizes.append(tuple(options["input_ids"].shape))
        if len(options["input_ids"]) > most:
            raise torch.OutOfMemoryError
        return real(model, **options)

    monkeypatch.setattr(type(loaded.model), "forward", forward)
    return sizes


def mixed(count=24, longest=70):
    """Return prompts of all lengths, in no order."""
    rng = np.random.default_rng(5)
    return [rng.integers(4, 80, size=int(rng.integers(1, longest))).tolist() for _ in range(count)]


def steps(sizes):
    return [rows for rows, tokens in sizes if tokens == 1]


@pytest.mark.parametrize(
    ("kind", "variant", "plan"),
    [
        *((kind, "fp16", ROWS) for kind in ("llama", "gpt2", "gemma2", "qwen3", "qwen3_moe")),
        *((kind, "int8", ROWS) for kind in ("llama", "llama_outliers", "gpt2", "qwen3")),
        ("gemma2", "nf4", ROWS),
        ("mamba", "fp16", EQUAL_LENGTHS),
    ],
)
def test_the_way_follows_from_the_architecture(load, kind, variant, plan):
    assert load(kind, variant).generation_plan == plan


@pytest.mark.parametrize("most", [64, 5])
@pytest.mark.parametrize(
    ("kind", "variant"),
    [
        ("llama", "fp16"),
        ("gpt2", "nf4"),
        ("gemma2", "fp16"),
        ("mistral", "fp16"),
        ("qwen3_moe", "fp16"),
        ("llama_outliers", "int8"),
    ],
)
def test_prompts_of_all_lengths_are_continued_as_if_alone(load, kind, variant, most):
    loaded = load(kind, variant)
    assert loaded._generator.plan == ROWS
    with torch.inference_mode():
        found = loaded._generator.generate(mixed(), GREEDY, sequences=most).found
        assert tokens_of(found) == one_by_one(loaded.model, mixed())


def test_prompts_of_many_lengths_take_as_many_steps_as_one_batch(load, monkeypatch):
    loaded = load("llama", "fp16")
    asked = [list(range(4, 4 + length)) for length in range(30, 54)]
    loaded.generate(asked[:2], GREEDY)  # the first time how it can be done is tried
    sizes = watched(loaded, monkeypatch)
    loaded.generate(asked, GREEDY)
    assert steps(sizes) == [24] * (NEW_TOKENS - 1)
    assert len(sizes) - len(steps(sizes)) < 4


def test_a_row_that_ends_makes_room_for_the_next_prompt(load, monkeypatch):
    loaded = in_engine(load("llama", "fp16"))
    free = tokens_of(loaded.generate(prompts(), GREEDY))
    loaded._generator.ending = replace(loaded._generator.ending, tokens=(free[0][2], 2))
    expected = loaded.generate(prompts(), GREEDY)
    needed = [max(len(one.tokens) - one.is_truncated, 0) for one in expected]
    assert len(set(needed)) > 2
    sizes = watched(loaded, monkeypatch)
    with torch.inference_mode():
        assert list(loaded._generator.generate(prompts(), GREEDY, sequences=2).found) == expected
    # Two rows can be no faster; batches would wait for the longer of each two.
    assert sum(steps(sizes)) <= sum(needed) + NEW_TOKENS


def test_the_batch_shrinks_as_outputs_end(load, monkeypatch):
    loaded = in_engine(load("llama", "fp16"))
    free = tokens_of(loaded.generate(prompts(), GREEDY))
    early = {one[3] for one in free[:8]}
    loaded._generator.ending = replace(loaded._generator.ending, tokens=(*early, 2))
    sizes = watched(loaded, monkeypatch)
    loaded.generate(prompts(), GREEDY)
    assert steps(sizes)[0] > 2 * steps(sizes)[-1]


def test_out_of_memory_starts_again_with_fewer_rows(load, monkeypatch):
    loaded = load("llama", "fp16")
    asked = [[5, 6 + i] for i in range(12)]
    expected = loaded.generate(asked, short(3))
    tight = in_engine(loaded)
    assert tight._generator.plan == ROWS
    sizes = watched(loaded, monkeypatch, most=4)
    assert tight.generate(asked, short(3)) == expected
    assert [rows for rows, _ in sizes][:2] == [12, 6]
    assert tight.pack_limit == 3


def test_one_prompt_that_does_not_fit_is_an_error(load, monkeypatch):
    tight = in_engine(load("llama", "fp16"))
    assert tight._generator.plan == ROWS
    watched(tight, monkeypatch, most=0)
    with pytest.raises(MeasurementError, match="a prompt of 2 tokens with 3 new ones"):
        tight.generate([[5, 6], [7, 8], [9, 9]], short(3))


def test_a_row_that_is_not_finite_leaves_the_next_one_alone(load):
    loaded = load("llama", "fp16")
    expected = loaded.generate([[5, 6], [7, 7], [8, 8]], GREEDY)
    written = {token for one in expected for token in one.tokens}
    bad = next(token for token in range(9, 80) if token not in written)
    asked = [[5, 6], [7, bad], [8, 8]]
    weight = loaded.model.get_input_embeddings().weight.data
    own = weight[bad].clone()

    def write(values):
        with torch.inference_mode():  # the weights may have been made in it
            weight[bad] = values

    write(torch.nan)
    try:
        for rows in (1, 3):
            with torch.inference_mode():
                found = loaded._generator.generate(asked, GREEDY, sequences=rows)
            assert found.broken == 1
            assert (found.found[0], found.found[2]) == (expected[0], expected[2])
        with pytest.raises(NonFiniteLogitsError, match="not finite") as caught:
            loaded.generate(asked, GREEDY)
    finally:
        write(own)
    assert caught.value.request == 1


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("Llama", {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}}),
        ("Bloom", {"n_head": 4}),
        ("Mamba", {}),
    ],
)
def test_architectures_whose_positions_or_states_are_their_own_are_left_alone(name, settings):
    config = getattr(transformers, f"{name}Config")(
        vocab_size=64, hidden_size=32, num_hidden_layers=1, **settings
    )
    assert layout_of(transformers.AutoModelForCausalLM.from_config(config)) is None


@pytest.mark.parametrize("ignored", ["position_ids", "attention_mask"])
def test_a_model_that_decodes_otherwise_than_it_says_is_found_out(ignored):
    class Deaf(transformers.LlamaForCausalLM):
        @wraps(transformers.LlamaForCausalLM.forward)
        def forward(self, **options):
            return super().forward(**options | {ignored: None})

    model = Deaf(tiny_models.make_config("llama")).eval()
    assert layout_of(model) is not None
    assert checked_layout(model, "cpu") is None
    plain = transformers.LlamaForCausalLM(model.config).eval()
    assert checked_layout(plain, "cpu").token_bytes == 2 * 2 * 2 * 16 * 4


def test_a_stop_is_seen_with_the_token_that_completes_it():
    rng = np.random.default_rng(0)
    pieces = ["a", "b", "ab", "ba", "é", " "]
    for _ in range(60):
        text = "".join(rng.choice(pieces, size=3))
        tokens = rng.integers(len(pieces), size=90).tolist()
        so_far = [tokens[:n] for n in range(1, 91)]
        seen = [
            has_stopped(some, (text, "zz"), lambda some: joined(pieces, some)) for some in so_far
        ]
        first = next((n for n, some in enumerate(so_far) if text in joined(pieces, some)), None)
        assert next((n for n, one in enumerate(seen) if one), None) == first


def joined(pieces, tokens):
    return "".join(pieces[token] for token in tokens)


@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
def test_a_gpu_has_tables_of_few_shapes(device):
    machine = Machine(
        model=None, layout=None, device=device, ending=None, batch_tokens=1, cached_tokens=1
    )
    expected = [1, 2, 4, 8, 64] if machine.keeps_shape else [1, 2, 3, 5, 40]
    assert [machine.rows_for(n) for n in (1, 2, 3, 5, 40)] == expected


def test_rows_of_a_fixed_number_write_the_same(load, monkeypatch):
    loaded = load("llama", "fp16")
    expected = loaded.generate(mixed(9), GREEDY)
    monkeypatch.setattr(Machine, "keeps_shape", True)
    sizes = watched(loaded, monkeypatch)
    assert loaded.generate(mixed(9), GREEDY) == expected
    assert set(steps(sizes)[2:]) == {16}

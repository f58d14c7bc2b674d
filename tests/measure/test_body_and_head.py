"""Body and head make together what the model makes, whatever its head does to the logits."""

from __future__ import annotations

import gc
import weakref

import pytest
import tiny_models
import torch
import transformers

from pytest_quantcheck.measure.engine.head import is_close, split_model

COMMON = tiny_models._common()
TOKENS = torch.tensor([[1, 20, 30, 40, 50, 60, 70]])
OTHERS = {
    "granite": transformers.GraniteConfig(**COMMON, logits_scaling=8.0),
    "cohere": transformers.CohereConfig(**COMMON, logit_scale=0.25),
    "opt": transformers.OPTConfig(
        vocab_size=128, hidden_size=64, num_hidden_layers=2, ffn_dim=128,
        num_attention_heads=4, word_embed_proj_dim=64, max_position_embeddings=96,
    ),
    "bart": transformers.BartConfig(
        vocab_size=128, d_model=64, decoder_layers=1, decoder_attention_heads=4, is_decoder=True,
    ),
}  # fmt: skip
KINDS = ["llama", "gpt2", "gemma2", "qwen3", "qwen3_moe", "mamba", *OTHERS]


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


def make(kind):
    if kind not in OTHERS:
        return tiny_models.make_model(kind, dtype=torch.float32)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        return transformers.AutoModelForCausalLM.from_config(OTHERS[kind]).eval()


@pytest.mark.parametrize("kind", KINDS)
def test_head_on_body_is_the_model(kind):
    model = make(kind)
    split = split_model(model, "cpu")
    assert split is not None
    assert split.body.takes_positions == (kind not in {"mamba", "bart"})
    found = split.head.logits(split.body.states(TOKENS)[0])
    assert torch.equal(found, model(TOKENS).logits[0])


@pytest.mark.parametrize("kind", ["gemma2", "granite", "cohere"])
def test_the_linear_layer_alone_would_not_do(kind):
    model = make(kind)
    states = model.base_model(TOKENS).last_hidden_state
    assert not is_close(model.get_output_embeddings()(states), model(TOKENS).logits, 0.01)


@pytest.mark.parametrize("variant", ["fp16", "int8", "nf4"])
def test_quantized_models_are_split_too(load, variant):
    model = load("llama", variant).model
    split = split_model(model, "cpu")
    assert torch.equal(split.head.logits(split.body.states(TOKENS)[0]), model(TOKENS).logits[0])


def test_places_in_a_sequence_can_be_given():
    split = split_model(make("llama"), "cpu")
    places = torch.arange(TOKENS.shape[1])[None]
    plain = split.body.states(TOKENS)
    assert torch.equal(split.body.states(TOKENS, places), plain)
    assert not torch.equal(split.body.states(TOKENS, places * 2), plain)


def test_a_head_outlives_the_body_and_keeps_nothing_else():
    model = make("gemma2")
    split = split_model(model, "cpu")
    states = split.body.states(TOKENS)[0]
    expected, body, head = model(TOKENS).logits[0], weakref.ref(model.model), split.head
    del split, model
    gc.collect()
    assert body() is None
    assert torch.equal(head.logits(states), expected)


def test_the_model_itself_is_left_as_it_was():
    model = make("llama")
    before = (dict(model.__dict__), dict(model._modules))
    split_model(model, "cpu").head.logits(torch.zeros(3, 64))
    assert (dict(model.__dict__), dict(model._modules)) == before


def test_a_model_that_does_more_between_body_and_head_is_not_split():
    class Doubling(transformers.LlamaForCausalLM):
        def forward(self, input_ids, **options):
            output = super().forward(input_ids, **options)
            output.logits = output.logits * input_ids[..., None]
            return output

    assert split_model(Doubling(tiny_models.make_config("llama")).eval(), "cpu") is None


def test_a_model_without_a_body_of_its_own_is_not_split():
    model = make("llama")
    model.base_model_prefix = "trunk"
    assert split_model(model, "cpu") is None


@pytest.mark.parametrize(
    ("found", "expected", "close"),
    [
        ([1.0, 1000.0], [1.5, 1000.0], True),
        ([1.0, 1000.0], [3.0, 1000.0], False),
        ([float("nan"), 1.0], [float("nan"), 1.0], True),
        ([float("nan"), 1.0], [1.0, 1.0], False),
        ([float("inf")], [float("inf")], True),
        ([1.0], [1.0, 1.0], False),
    ],
)
def test_values_are_close_relative_to_the_largest(found, expected, close):
    assert is_close(torch.tensor(found), torch.tensor(expected), 1e-3) is close

"""The plan is what the model allows: packs where they give its own logits, else batches."""

from __future__ import annotations

import pytest
import tiny_models
import torch
import transformers
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from pytest_quantcheck.measure.engine import probe
from pytest_quantcheck.measure.engine.plan import Plan
from pytest_quantcheck.measure.engine.probe import choose_plan, longest_sequence

COMMON = tiny_models._common()
PACKED = "packed tree, segments"
NO_PLACES = "padded batches (no places of tokens can be given)"
PLANS = {
    "llama": (tiny_models.make_config("llama"), PACKED),
    "gpt2": (tiny_models.make_config("gpt2"), PACKED),
    "qwen3": (tiny_models.make_config("qwen3"), PACKED),
    "qwen3_moe": (tiny_models.make_config("qwen3_moe"), PACKED),
    "granite": (transformers.GraniteConfig(**COMMON, logits_scaling=8.0), PACKED),
    "cohere": (transformers.CohereConfig(**COMMON, logit_scale=0.25), PACKED),
    "gemma3": (transformers.Gemma3TextConfig(**COMMON, head_dim=16), PACKED),
    "mistral": (
        transformers.MistralConfig(**COMMON, sliding_window=24),
        "padded batches (a sliding window)",
    ),
    "gemma2": (
        transformers.Gemma2Config(**COMMON, head_dim=16),
        "padded batches (softcapping in attention)",
    ),
    "gpt_oss": (
        transformers.GptOssConfig(**COMMON | {"head_dim": 16, "num_local_experts": 4}),
        "padded batches (attention sinks)",
    ),
    "mamba": (tiny_models.make_config("mamba"), NO_PLACES),
    "bloom": (
        transformers.BloomConfig(vocab_size=128, hidden_size=64, n_layer=2, n_head=4),
        NO_PLACES,
    ),
    "gptj": (
        transformers.GPTJConfig(
            vocab_size=128, n_embd=64, n_layer=2, n_head=4, rotary_dim=8,
            bos_token_id=1, eos_token_id=2,
        ),
        "padded batches (packs differ by 0.",
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


def make(config, dtype=torch.float32):
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        model = transformers.AutoModelForCausalLM.from_config(config)
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                parameter.normal_(std=0.12)
            else:
                parameter.nan_to_num_().clamp_(-1, 1)  # some are left as memory was
    return model.to(dtype).eval()


@pytest.mark.parametrize(("config", "plan"), PLANS.values(), ids=PLANS)
def test_architectures_are_forwarded_as_they_allow(config, plan):
    assert choose_plan(make(config), "cpu").text.startswith(plan)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_packed_too(dtype):
    assert choose_plan(make(tiny_models.make_config("llama"), dtype), "cpu").plan is Plan.SEGMENTS


@pytest.mark.parametrize("variant", ["int8", "nf4"])
@pytest.mark.parametrize("kind", ["llama", "llama_outliers", "gpt2"])
def test_quantized_models_are_packed_too(load, kind, variant):
    assert choose_plan(load(kind, variant).model, "cpu").plan is Plan.SEGMENTS


def test_a_plan_can_be_asked_for():
    model = make(tiny_models.make_config("llama"))
    assert choose_plan(model, "cpu", Plan.BATCHES).text == "batches of equal length (as asked)"
    assert choose_plan(model, "cpu", Plan.PADDED).text == "padded batches (as asked)"
    assert choose_plan(model, "cpu", Plan.VARLEN).text == "padded batches (no kernel)"


def test_attention_that_leaks_between_pack_mates_is_found_out(monkeypatch):
    def leaking(_kernel, query, key, value, *, scale, layout):
        del layout
        parts = (one.transpose(0, 1)[None] for one in (query, key, value))
        attend = torch.nn.functional.scaled_dot_product_attention
        found = attend(*parts, is_causal=True, scale=scale, enable_gqa=True)
        return found[0].transpose(0, 1)

    monkeypatch.setattr(probe.BlockKernel, "attend", leaking)
    for dtype in (torch.float32, torch.bfloat16):
        choice = choose_plan(make(tiny_models.make_config("llama"), dtype), "cpu")
        assert choice.text.startswith("padded batches (packs differ by ")


def test_a_kernel_that_fails_is_not_used(monkeypatch):
    def failing(*_parts, **_options):
        raise RuntimeError("no such head size")

    monkeypatch.setattr(probe.BlockKernel, "attend", failing)
    choice = choose_plan(make(tiny_models.make_config("llama")), "cpu")
    assert choice.text == "padded batches (packs fail with RuntimeError)"


def test_no_memory_for_a_trial_means_batches(monkeypatch):
    def full(*_parts, **_options):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(probe.BlockKernel, "attend", full)
    choice = choose_plan(make(tiny_models.make_config("llama")), "cpu")
    assert choice.text == "batches of equal length (no memory for a trial)"


def test_a_model_that_is_not_body_and_head_is_forwarded_whole():
    model = make(tiny_models.make_config("llama"))
    model.base_model_prefix = "trunk"
    assert choose_plan(model, "cpu").text == "batches of equal length (no head of its own)"


def test_nothing_of_the_library_is_left_changed():
    model = make(tiny_models.make_config("qwen3"))
    before = (dict(ALL_ATTENTION_FUNCTIONS), model.config._attn_implementation)
    choose_plan(model, "cpu")
    assert (dict(ALL_ATTENTION_FUNCTIONS), model.config._attn_implementation) == before


LONGEST = {
    "no bound": (transformers.LlamaConfig(**COMMON), None),
    "window": (transformers.MistralConfig(**COMMON, sliding_window=40), 40),
    "dynamic": (
        transformers.LlamaConfig(
            **COMMON, rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}
        ),
        tiny_models.CONTEXT,
    ),
    "original": (
        transformers.Phi3Config(
            **COMMON,
            original_max_position_embeddings=50,
            rope_parameters={
                "rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 8,
                "long_factor": [2.0] * 8, "original_max_position_embeddings": 50,
            },
        ),
        50,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("config", "longest"), LONGEST.values(), ids=LONGEST)
def test_windows_and_growing_rotations_bound_the_sequences_of_packs(config, longest):
    assert longest_sequence(config) == longest


def test_a_window_does_not_bound_padded_batches():
    config = LONGEST["window"][0]
    assert longest_sequence(config, with_windows=False) is None

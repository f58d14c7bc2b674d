"""What a variant takes is known from names and shapes, before it is loaded."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import transformers

from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.measure.backends.bitsandbytes import BitsandbytesBackend
from pytest_quantcheck.measure.backends.footprint import quantized_bytes

NESTED = (("bnb_4bit_use_double_quant", True),)
SHAPES = {
    "1b": {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16},
    "8b": {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32},
}


def held(model):
    """Return the bytes of all tensors of a loaded model, scales included."""
    total = 0
    for tensor in model.parameters():
        state = getattr(tensor, "quant_state", None)
        scales = [getattr(tensor, "SCB", None)]
        if state is not None:
            scales = [state.absmax, state.state2.absmax if state.nested else None]
        total += tensor.nbytes + sum(one.nbytes for one in scales if one is not None)
    return total


@pytest.mark.parametrize(
    ("kind", "name", "changes"),
    [
        ("llama", "int8", {}),
        ("llama", "nf4", {"options": NESTED}),
        ("llama", "nf4", {"skip_modules": ("mlp",)}),
        ("gpt2", "nf4", {}),
        ("gemma2", "int8", {}),
        ("qwen3_moe", "nf4", {}),
    ],
)
def test_the_arithmetic_is_what_is_loaded(checkpoint, kind, name, changes):
    variant, source = replace(builtin_variant(name), **changes), checkpoint(kind)
    loaded = BitsandbytesBackend().load(variant, source)
    expected = held(loaded.model)
    loaded.close()
    estimate = BitsandbytesBackend().estimate_bytes(variant, source)
    assert estimate == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize(
    ("shape", "name", "linear", "ends"),
    [
        # Weights of linear layers, embeddings and head in elements: 32 layers of 4096 x
        # (2 x 4096 + 2 x 1024 + 3 x 14336), 16 of 2048 x (2 x 2048 + 2 x 512 + 3 x 8192).
        ("1b", "int8", 973_078_528, 262_668_288),
        ("1b", "nf4", 973_078_528, 262_668_288),
        ("8b", "int8", 6_979_321_856, 1_050_673_152),
        ("8b", "nf4", 6_979_321_856, 1_050_673_152),
    ],
)
def test_real_shapes_take_their_linear_weights_packed_and_both_ends_in_16_bits(
    shape, name, linear, ends
):
    config = transformers.LlamaConfig(
        vocab_size=128_256, num_attention_heads=32, num_key_value_heads=8,
        tie_word_embeddings=shape == "1b", **SHAPES[shape],
    )  # fmt: skip
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    found = quantized_bytes(model, builtin_variant(name), other_bytes=2)
    assert found == pytest.approx(linear * {"int8": 1, "nf4": 0.5625}[name] + 2 * ends, rel=0.01)

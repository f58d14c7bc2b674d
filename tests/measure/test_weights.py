"""What tensors say about a variant: bytes, share quantized, digests, and the checks on them."""

from __future__ import annotations

import pytest
import tiny_models
import torch

from pytest_quantcheck.core.variant import Variant, builtin_variant
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.measure.engine.weights import matches, read_weights
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.protocols import ModelSource, Weights
from pytest_quantcheck.measure.runner import Runner
from pytest_quantcheck.measure.selfcheck import check_differs, check_quantized

PACKED_LLAMA = 2 * (64 * 64 * 2 + 64 * 32 * 2 + 64 * 128 * 3)
"""Parameters of the linear layers of the tiny Llama: attention and MLP of two layers."""
OTHER_LLAMA = 2 * 128 * 64 + 5 * 64
"""Embeddings, head and norms."""
LAYERS = 2 * 7
OUTPUTS_LLAMA = 2 * (64 + 32 + 32 + 64 + 128 + 128 + 64)
CODE_BYTES = 16 * 4


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("fp16", 2 * (PACKED_LLAMA + OTHER_LLAMA)),
        ("bf16", 2 * (PACKED_LLAMA + OTHER_LLAMA)),
        ("fp32", 4 * (PACKED_LLAMA + OTHER_LLAMA)),
        ("int8", PACKED_LLAMA + 4 * OUTPUTS_LLAMA + 2 * OTHER_LLAMA),
        ("nf4", PACKED_LLAMA // 2 + 4 * PACKED_LLAMA // 64 + LAYERS * CODE_BYTES + 2 * OTHER_LLAMA),
        ("fp4", PACKED_LLAMA // 2 + 4 * PACKED_LLAMA // 64 + LAYERS * CODE_BYTES + 2 * OTHER_LLAMA),
    ],
)
def test_stored_bytes_are_those_of_the_declared_precision(load, variant, expected):
    assert load("llama", variant).weights.stored_bytes == expected


def test_a_tied_head_counts_once(load):
    model = load("gemma2", "fp16").model
    assert model.lm_head.weight is model.model.embed_tokens.weight
    parameters = sum(one.numel() for one in model.parameters())
    assert load("gemma2", "fp16").weights.stored_bytes == 2 * parameters


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gemma2", "qwen3"])
@pytest.mark.parametrize("variant", ["int8", "nf4", "fp4"])
def test_dense_models_are_quantized_outside_embeddings_and_head(load, kind, variant):
    weights = load(kind, variant).weights
    assert (weights.quantized_fraction, weights.left) == (1.0, ())
    assert {name.rpartition(".")[2] for name, _ in weights.digests} == {"weight"}
    check_differs(builtin_variant(variant), weights, load(kind, "fp16").weights)


def test_nested_scales_count_and_dequantize():
    from bitsandbytes.nn import Linear4bit

    model = tiny_models.make_model("llama")
    plain = read(model)
    layer = Linear4bit(64, 128, bias=False, compress_statistics=True, quant_type="nf4")
    layer.load_state_dict({"weight": model.model.layers[0].mlp.up_proj.weight.data})
    model.model.layers[0].mlp.up_proj = layer.to("cpu")
    weights = read(model)
    state = layer.weight.quant_state
    assert state.nested
    packed = 64 * 128 // 2 + 128 + CODE_BYTES + 4 + 256 * 4 + state.state2.absmax.numel() * 4
    assert weights.stored_bytes == plain.stored_bytes - 2 * 64 * 128 + packed
    changed = [a for a, b in zip(weights.digests, plain.digests, strict=True) if a != b]
    assert [name for name, _ in changed] == ["model.layers.0.mlp.up_proj.weight"]


def read(model, skipped=()):
    return read_weights(model, declared_bytes=2, canonical=torch.float16, skipped=skipped)


def test_an_int8_layer_without_scales_is_not_quantized():
    model = tiny_models.make_model("llama")
    weight = torch.nn.Parameter(torch.ones(64, 128, dtype=torch.int8), requires_grad=False)
    model.model.layers[0].mlp.down_proj.weight = weight
    weights = read(model)
    assert weights.quantized_fraction == 0.0
    assert "model.layers.0.mlp.down_proj.weight" in dict(weights.left)


@pytest.mark.parametrize(
    ("module", "skipped", "expected"),
    [
        ("model.layers.0.mlp.down_proj", ("down_proj",), True),
        ("model.layers.0.mlp.down_proj", ("mlp",), True),
        ("model.layers.0.mlp.down_proj", ("model.layers.0",), True),
        ("model.layers.10.mlp.down_proj", ("model.layers.1",), False),
        ("model.layers.0.mlp.down_proj", ("proj", "own_proj"), False),
        ("lm_head", (), False),
    ],
)
def test_modules_are_named_by_path_or_last_part(module, skipped, expected):
    assert matches(module, skipped) is expected


def test_fused_experts_fail_the_check_with_their_sizes(checkpoint, specs):
    pool = Pool(specs, checkpoint("qwen3_moe"), 0.9)
    with pytest.raises(UsageError) as caught:
        pool.get(builtin_variant("int4"))
    text = str(caught.value)
    assert text.startswith(
        "variant int4 (nf4) is not quantized enough to be tested as such: 19.9 % of its 2-D and "
        "3-D weights outside embeddings and head hold packed integers, expected at least 90.0 %. "
        "Largest left at 16 bits: model.layers.0.mlp.experts.gate_up_proj (64.0 KiB)"
    )
    assert (
        'and 1 more. If they are left on purpose, declare the variant with skip_modules = ["exper'
        in (text)
    )
    assert pool.resident == ()


def test_experts_left_on_purpose_pass_the_check(checkpoint, specs):
    pool = Pool(specs, checkpoint("qwen3_moe"), 0.9)
    variant = Variant(
        name="nf4", precision="nf4", backend="bitsandbytes", skip_modules=("experts", "gate")
    )
    weights = pool.get(variant).weights
    assert weights.quantized_fraction == 1.0
    pool.close()


def test_a_skipped_module_stays_as_it_is_and_so_does_the_head(checkpoint, specs):
    pool = Pool(specs, checkpoint("llama"), 0.9)
    variant = Variant(
        name="own", precision="int8", backend="bitsandbytes", skip_modules=("down_proj",)
    )
    loaded = pool.get(variant)
    packed = {
        name
        for name, module in loaded.model.named_modules()
        if type(module).__name__ == "Linear8bitLt"
    }
    assert len(packed) == 2 * 6
    assert not any(name.endswith(("down_proj", "lm_head")) for name in packed)
    assert not any("down_proj" in name for name, _ in loaded.weights.digests)
    pool.close()


def test_skipping_everything_is_no_quantized_variant(checkpoint, specs):
    variant = Variant(name="own", precision="nf4", backend="bitsandbytes", skip_modules=("layers",))
    with pytest.raises(UsageError, match="is everything named in skip_modules"):
        Pool(specs, checkpoint("llama"), 0.9).get(variant)


def test_an_unknown_skipped_module_is_a_usage_error(checkpoint, specs):
    variant = Variant(name="own", precision="nf4", backend="bitsandbytes", skip_modules=("expert",))
    with pytest.raises(UsageError, match=r"skip_modules names 'expert', and .* has no such module"):
        Pool(specs, checkpoint("llama"), 0.9).get(variant)


def test_weights_that_int8_stores_exactly_are_no_quantized_variant(tmp_path, specs):
    model = tiny_models.make_model("llama")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2 and "layers" in name:
                parameter.copy_(parameter.sign() * 0.125)
    source = ModelSource(model=str(tiny_models.save(tmp_path, model)), device="cpu")
    runner = Runner(Pool(specs, source, 0.9), reference=builtin_variant("fp16"))
    from pytest_quantcheck import Documents

    workload = Documents.from_examples([{"text": "the end"}], name="docs")
    with pytest.raises(UsageError, match=r"int8 .LLM.int8. claims quantization, and all of its 14"):
        runner.measure(builtin_variant("int8"), workload)
    runner.close()


def test_a_variant_that_claims_nothing_is_not_checked(load):
    weights = load("llama", "fp16").weights
    check_quantized(builtin_variant("fp16"), weights)
    check_differs(builtin_variant("bf16"), weights, weights)


def test_one_weight_that_quantization_leaves_equal_is_no_error():
    before, after = (
        Weights(stored_bytes=1, quantized_fraction=1.0, left=(), digests=(("a", "0"), ("b", last)))
        for last in "12"
    )

    check_differs(builtin_variant("int8"), after, before)


def test_few_weights_left_are_all_named():
    left = (("experts.up", 3_000_000),)
    weights = Weights(stored_bytes=1, quantized_fraction=0.5, left=left, digests=())
    with pytest.raises(UsageError, match=r'experts.up \(5.7 MiB\). If .* skip_modules = \["exp'):
        check_quantized(builtin_variant("int8"), weights)

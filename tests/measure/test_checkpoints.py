"""Variants that were quantized before, and options of those quantized while they are loaded."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_checkpoints
import tiny_models
import torch
from safetensors.torch import load_file
from transformers.utils.import_utils import is_compressed_tensors_available

from pytest_quantcheck import Documents
from pytest_quantcheck.core.variant import AS_STORED, Variant, builtin_variant
from pytest_quantcheck.errors import BackendUnavailable, UsageError
from pytest_quantcheck.measure.backends.checkpoint import CheckpointBackend, describe
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.protocols import ScoreRequest

FP16 = builtin_variant("fp16")
REQUESTS = [
    ScoreRequest(tokens=(1, 20, 30, 40, 50, 60), first_target=1),
    ScoreRequest(tokens=(1, 70, 8, 9), first_target=2),
]
MANUAL = Documents.from_examples([{"text": "the thing in the end"}], name="manual")
PACKED = 2 * (64 * 64 * 2 + 64 * 32 * 2 + 64 * 128 * 3)
OTHERS = 2 * 128 * 64 + 5 * 64
OUTPUTS = 2 * (64 + 32 + 32 + 64 + 128 + 128 + 64)


def as_stored(folder, **options):
    return Variant(
        name="own", precision=AS_STORED, backend="checkpoint", checkpoint=str(folder), **options
    )


@pytest.fixture(scope="module")
def base(checkpoint):
    return checkpoint("llama")


@pytest.fixture
def pool(base, specs):
    made = Pool(specs, base, 0.9)
    yield made
    made.close()


@pytest.fixture(scope="module")
def saved(base, tmp_path_factory):
    """Return what saves a quantized checkpoint of the tiny model once."""
    known = {}

    def get(kind):
        if kind not in known:
            folder = tmp_path_factory.mktemp("saved") / kind
            if kind in BITSANDBYTES:
                known[kind] = tiny_checkpoints.save_bitsandbytes(
                    base.model, folder, **BITSANDBYTES[kind]
                )
            else:
                pytest.importorskip("compressed_tensors", reason="builds the checkpoint")
                known[kind] = tiny_checkpoints.save_compressed(base.model, folder, kind)
        return known[kind]

    return get


BITSANDBYTES = {
    "nf4": {
        "load_in_4bit": True,
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_compute_dtype": torch.bfloat16,
    },
    "int8": {"load_in_8bit": True},
}
METHODS = {
    "nf4": "bitsandbytes nf4",
    "int8": "bitsandbytes LLM.int8",
    "W4A16": "compressed-tensors W4A16",
    "W8A8": "compressed-tensors W8A8",
    "FP8_DYNAMIC": "compressed-tensors W8A8 float",
}


@pytest.mark.parametrize("kind", BITSANDBYTES)
def test_a_saved_checkpoint_is_what_quantizing_while_loading_gives(pool, saved, kind):
    stored, fresh = pool.get(as_stored(saved(kind))), pool.get(builtin_variant(kind))

    for one, other in zip(stored.score(REQUESTS), fresh.score(REQUESTS), strict=True):
        assert np.array_equal(one, other)
    same = replace(stored.weights, method="", revision=fresh.weights.revision)
    assert same == fresh.weights
    assert stored.compute_dtype == "float32"


COMPRESSED_BYTES = {
    # Packed integers, an fp16 scale for each group or output, and two 8-byte sizes a layer.
    "W4A16": PACKED // 2 + 2 * PACKED // tiny_checkpoints.GROUP + 14 * 16 + 2 * OTHERS,
    "W8A8": PACKED + 2 * OUTPUTS + 2 * OTHERS,
    "FP8_DYNAMIC": PACKED + 2 * OUTPUTS + 2 * OTHERS,
}


@pytest.mark.parametrize("scheme", COMPRESSED_BYTES)
def test_a_compressed_checkpoint_is_read_as_stored_and_scored_unpacked(pool, saved, scheme):
    loaded = pool.get(as_stored(saved(scheme)))
    reference = pool.get(FP16)

    weights = loaded.weights
    assert weights.stored_bytes == COMPRESSED_BYTES[scheme]
    assert (weights.quantized_fraction, weights.left) == (1.0, ())
    names = [name for name, _ in weights.digests]
    assert names == [name for name, _ in reference.weights.digests]
    assert not set(weights.digests) & set(reference.weights.digests)
    found, expected = loaded.score(REQUESTS), reference.score(REQUESTS)
    worst = max(np.abs(a - b).max() for a, b in zip(found, expected, strict=True))
    assert 0 < worst < 1.5
    assert loaded.compute_dtype == "float32"
    assert {t.dtype for t in loaded.model.parameters() if t.is_floating_point()} == {torch.float32}


def test_unpacked_scores_are_those_of_the_stored_integers(pool, saved):
    folder = saved("W4A16")
    stored = load_file(folder / "model.safetensors")
    model = tiny_models.make_model("llama").float()
    with torch.no_grad():
        for name, module in model.named_modules():
            if (packed := stored.get(f"{name}.weight_packed")) is not None:
                codes = packed[..., None] >> torch.arange(0, 32, 4) & 15  # (o, i / 8, 8)
                groups = codes.view(len(packed), -1, tiny_checkpoints.GROUP).half() - 8
                weight = groups * stored[f"{name}.weight_scale"][..., None]
                module.weight.copy_(weight.view_as(module.weight))

    loaded = pool.get(as_stored(folder))

    for request, scores in zip(REQUESTS, loaded.score(REQUESTS), strict=True):
        naive = tiny_models.naive_scores(model, request.tokens, request.first_target)
        assert np.abs(scores - naive).max() < 1e-3


@pytest.mark.parametrize("kind", METHODS)
def test_the_method_is_read_from_the_configuration(saved, kind):
    config = json.loads((saved(kind) / "config.json").read_text(encoding="utf-8"))
    assert describe(config["quantization_config"]) == METHODS[kind]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"quant_method": "awq", "bits": 4}, "awq 4-bit"),
        ({"quant_method": "awq", "w_bit": 4}, "awq 4-bit"),
        ({"quant_method": "hqq"}, "hqq"),
        ({"load_in_8bit": True}, "bitsandbytes LLM.int8"),
        (
            {"load_in_4bit": True, "bnb_4bit_quant_type": "fp4", "bnb_4bit_use_double_quant": True},
            "bitsandbytes fp4, double quant",
        ),
    ],
)
def test_a_method_is_said_with_its_bits(settings, expected):
    assert describe(settings) == expected


def edited(source, folder, **changes):
    shutil.copytree(source, folder)
    path = folder / "config.json"
    settings = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps(settings), encoding="utf-8")
    return folder


MISSING = {
    "gptq": ({"quant_method": "gptq", "bits": 4}, r"own \(gptq 4-bit\) needs (optimum|gptqmodel)"),
    "awq": ({"quant_method": "awq", "bits": 4}, r"own \(awq 4-bit\) needs gptqmodel"),
    "quanto": ({"quant_method": "quanto", "weights": "int4"}, "needs optimum-quanto"),
}


@pytest.mark.parametrize(("settings", "message"), MISSING.values(), ids=MISSING)
def test_a_missing_kernel_package_is_named(base, tmp_path, settings, message):
    folder = edited(base.model, tmp_path / "own", quantization_config=settings)

    with pytest.raises(BackendUnavailable, match=message + r".*: pip install \S+"):
        CheckpointBackend().load(as_stored(folder), base)


def test_compressed_tensors_itself_may_be_missing(base, saved, monkeypatch):
    folder = saved("W4A16")
    assert is_compressed_tensors_available()  # transformers remembers what it found first
    for name in [name for name in sys.modules if name.startswith("compressed_tensors")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "compressed_tensors", None)
    monkeypatch.setitem(sys.modules, "compressed_tensors.compressors", None)

    with pytest.raises(BackendUnavailable, match="pip install compressed-tensors"):
        CheckpointBackend().load(as_stored(folder), base)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_method_that_wants_a_gpu_is_unavailable(base, tmp_path):
    settings = {"quant_method": "fbgemm_fp8"}
    folder = edited(base.model, tmp_path / "own", quantization_config=settings)

    with pytest.raises(BackendUnavailable, match=r"own \(fbgemm_fp8\) (needs|does not run)"):
        CheckpointBackend().load(as_stored(folder), base)


def test_an_unknown_method_is_a_usage_error(base, tmp_path):
    folder = edited(base.model, tmp_path / "own", quantization_config={"quant_method": "magic"})

    with pytest.raises(UsageError, match="magic"):
        CheckpointBackend().load(as_stored(folder), base)


def test_a_checkpoint_that_is_not_quantized_is_refused(base):
    with pytest.raises(UsageError, match=r'is not quantized .* precision = "fp16"'):
        CheckpointBackend().load(as_stored(base.model), base)


def test_layers_that_are_not_packed_fail_the_check(base, pool, tmp_path):
    pytest.importorskip("compressed_tensors", reason="builds the checkpoint")
    half = tiny_models.make_model("llama")
    settings = {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "quantization_status": "compressed",
        "ignore": [name for name, _ in half.named_modules() if name],
        "config_groups": {"all": {"targets": ["Linear"], "weights": {"num_bits": 4}}},
    }
    folder = edited(base.model, tmp_path / "own", quantization_config=settings)

    with pytest.raises(UsageError, match=r"0\.0 % of its 2-D .* Largest left at 16 bits: model.la"):
        pool.get(as_stored(folder))
    assert pool.resident == ()


def test_pickled_checkpoints_are_refused(base, saved, tmp_path):
    folder = Path(shutil.copytree(saved("int8"), tmp_path / "own"))
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")

    with pytest.raises(UsageError, match="only pickled weights"):
        CheckpointBackend().load(as_stored(folder), base)


@pytest.mark.parametrize("kind", ["W8A8", "int8", "nf4"])
def test_the_estimate_is_about_what_is_loaded(base, pool, saved, kind):
    loaded = pool.get(as_stored(saved(kind)))
    held = 0
    for tensor in loaded.model.parameters():
        held += tensor.numel() * tensor.element_size()
        state = getattr(tensor, "quant_state", None)
        held += state.absmax.numel() * 4 if state is not None else 0

    estimate = CheckpointBackend().estimate_bytes(as_stored(saved(kind)), base)

    assert estimate == pytest.approx(held, rel=0.03)


def test_int8_of_a_bf16_checkpoint_explains_an_overflow(saved, base, tmp_path):
    folder = edited(saved("int8"), tmp_path / "own", dtype="bfloat16")

    error = CheckpointBackend().load(as_stored(folder), base).not_finite(0)

    assert "configuration and no regression" in str(error)

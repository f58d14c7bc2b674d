"""Checkpoints, options and adapters on a CUDA device, against the CPU."""

from __future__ import annotations

import gc
from dataclasses import replace

import numpy as np
import pytest
import tiny_checkpoints
import torch

from pytest_quantcheck.core.variant import AS_STORED, Variant, builtin_variant
from pytest_quantcheck.measure.protocols import ScoreRequest

pytestmark = pytest.mark.gpu

REQUESTS = [
    ScoreRequest(tokens=(1, 20, 30, 40, 50, 60), first_target=1),
    ScoreRequest(tokens=(1, 70, 8, 9), first_target=2),
]
NOISE_NATS = 0.02


def as_stored(folder):
    return Variant(name="own", precision=AS_STORED, backend="checkpoint", checkpoint=str(folder))


def largest_difference(one, other):
    pairs = zip(one.score(REQUESTS), other.score(REQUESTS), strict=True)
    return max(np.abs(a - b).max() for a, b in pairs)


def on_both(checkpoint, pool, variant, **options):
    """Return the variant on the GPU and on the CPU."""
    return [
        pool(replace(checkpoint("llama", device=device), **options)).get(variant)
        for device in ("cuda:0", "cpu")
    ]


OPTIONS = {
    "double": ("nf4", {"bnb_4bit_use_double_quant": True}),
    "double fp4": ("fp4", {"bnb_4bit_use_double_quant": True}),
    "storage": ("nf4", {"bnb_4bit_quant_storage": "float16"}),
    "compute": ("nf4", {"bnb_4bit_compute_dtype": "float32"}),
    "threshold": ("int8", {"llm_int8_threshold": 3.0}),
}


@pytest.mark.parametrize(("precision", "options"), OPTIONS.values(), ids=OPTIONS)
def test_options_store_the_same_bytes_on_cpu_and_gpu(checkpoint, pool, precision, options):
    variant = replace(builtin_variant(precision), options=tuple(options.items()))

    gpu, cpu = on_both(checkpoint, pool, variant)

    assert gpu.weights.stored_bytes == cpu.weights.stored_bytes
    assert gpu.weights.quantized_fraction == cpu.weights.quantized_fraction == 1.0
    assert largest_difference(gpu, cpu) < 5 * NOISE_NATS


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("nf4", {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}),
        ("int8", {"load_in_8bit": True}),
    ],
)
def test_a_saved_checkpoint_is_what_quantizing_while_loading_gives(
    checkpoint, pool, tmp_path, name, options
):
    source = checkpoint("llama")
    if name == "nf4":
        options = options | {"bnb_4bit_compute_dtype": torch.float16}
    folder = tiny_checkpoints.save_bitsandbytes(
        source.model, tmp_path / "own", device="cuda:0", **options
    )
    models = pool(source)

    stored, fresh = models.get(as_stored(folder)), models.get(builtin_variant(name))

    assert largest_difference(stored, fresh) < NOISE_NATS
    same = replace(stored.weights, method="", revision=fresh.weights.revision)
    assert same == fresh.weights
    on_cpu = pool(checkpoint("llama", device="cpu")).weights(as_stored(folder))
    assert on_cpu.stored_bytes == stored.weights.stored_bytes


@pytest.mark.parametrize("scheme", ["W4A16", "W8A8"])
def test_a_compressed_checkpoint_scores_as_on_the_cpu(checkpoint, pool, tmp_path, scheme):
    pytest.importorskip("compressed_tensors", reason="builds and loads the checkpoint")
    folder = tiny_checkpoints.save_compressed(checkpoint("llama").model, tmp_path / "own", scheme)

    gpu, cpu = on_both(checkpoint, pool, as_stored(folder))

    assert gpu.weights.stored_bytes == cpu.weights.stored_bytes
    assert gpu.weights.quantized_fraction == 1.0
    assert gpu.compute_dtype == "float16"
    assert largest_difference(gpu, cpu) < 5 * NOISE_NATS


@pytest.mark.parametrize("merges", [False, True], ids=["beside", "merged"])
@pytest.mark.parametrize("name", ["fp16", "int8", "nf4"])
def test_an_adapter_scores_as_on_the_cpu(checkpoint, pool, tmp_path, name, merges):
    pytest.importorskip("peft", reason="builds and loads the adapter")
    adapter = tiny_checkpoints.save_adapter(tmp_path / "tone")
    options = {"adapter": str(adapter), "merges_adapter": merges}

    gpu, cpu = on_both(checkpoint, pool, builtin_variant(name), **options)

    assert gpu.weights.stored_bytes == cpu.weights.stored_bytes
    assert largest_difference(gpu, cpu) < 5 * NOISE_NATS
    assert largest_difference(gpu, pool(checkpoint("llama")).get(builtin_variant(name))) > 0.1
    own = [t.dtype for n, t in gpu.model.named_parameters() if "lora_" in n]
    assert set(own) == (set() if merges else {torch.float16})


def test_an_adapter_leaves_no_memory_behind(checkpoint, pool, tmp_path):
    pytest.importorskip("peft", reason="builds and loads the adapter")
    adapter = tiny_checkpoints.save_adapter(tmp_path / "tone")
    source = replace(checkpoint("llama"), adapter=str(adapter))
    pool(checkpoint("llama")).get(builtin_variant("fp16")).score(REQUESTS)  # cuBLAS workspaces
    gc.collect()
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()

    models = pool(source)
    models.get(builtin_variant("nf4")).score(REQUESTS)
    models.close()

    gc.collect()
    assert abs(torch.cuda.memory_allocated() - before) < 2**18

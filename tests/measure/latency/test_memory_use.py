"""Memory of a variant: bytes that can be counted on any machine, and peaks where CUDA counts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from served import relaunched, shape, with_graphs

from pytest_quantcheck.core.memory import MemoryUse
from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.measure.backends.quantized_store import QuantizedStore
from pytest_quantcheck.measure.engine.classification import ClassificationModel
from pytest_quantcheck.measure.latency.memory import memory_use
from pytest_quantcheck.measure.latency.tensors import resident_bytes, tensor_bytes
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.protocols import ModelSource

LLAMA_TOKEN = 2 * 2 * 2 * 16 * 4
"""Keys and values of one token: two of each layer, two heads, 16 wide, float32."""


def test_keys_and_values_are_counted_at_the_last_token(load):
    found = load("llama", "fp16").memory_use(shape(rows=3, length=9, new_tokens=6))
    assert found.kv_cache_bytes == 3 * (9 + 6 - 1) * LLAMA_TOKEN


def test_a_static_cache_counts_with_all_its_room(load):
    loaded = load("llama", "fp16")
    found = memory_use(
        with_graphs(loaded, relaunched),
        shape(rows=3, length=9, new_tokens=6, mode="compiled"),
        weight_bytes=1,
        disk_bytes=None,
    )
    assert found.kv_cache_bytes == 3 * 64 * LLAMA_TOKEN


def test_a_state_counts_where_there_are_no_keys(load):
    short, long = (load("mamba", "fp16").memory_use(shape(new_tokens=n)) for n in (1, 20))
    assert short.kv_cache_bytes == long.kv_cache_bytes > 0


def test_a_cpu_knows_no_peaks(load):
    found = load("llama", "fp16").memory_use(shape(new_tokens=2))
    assert (found.peak_prefill_bytes, found.peak_decode_bytes) == (None, None)
    assert found.peak_bytes is None


def test_a_peak_is_the_larger_of_two():
    use = MemoryUse(weight_bytes=5, kv_cache_bytes=2, peak_prefill_bytes=10, peak_decode_bytes=8)
    assert use.peak_bytes == 10


@pytest.mark.parametrize("variant", ["fp16", "int8", "nf4"])
def test_weights_and_files_are_those_of_the_variant(specs, checkpoint, variant):
    source = checkpoint("llama")
    pool = Pool(specs, source, 0.9)
    found = pool.memory_use(builtin_variant(variant), shape(new_tokens=2))
    pool.close()
    assert found.weight_bytes == pool.weights(builtin_variant(variant)).stored_bytes
    assert found.disk_bytes == (Path(source.model) / "model.safetensors").stat().st_size
    assert found.load_seconds > 0


def test_kept_quantized_weights_are_what_lies_on_disk(specs, checkpoint, tmp_path):
    store = QuantizedStore(tmp_path, from_bytes=0, most_bytes=2**30)
    source = ModelSource(model=checkpoint("llama").model, device="cpu", quantized=store)
    sizes = []
    for _ in range(2):  # quantized and kept, then read
        pool = Pool(specs, source, 0.9)
        use = pool.memory_use(builtin_variant("nf4"), shape(new_tokens=1))
        pool.close()
        sizes.append(use.disk_bytes)
    kept = sum(path.stat().st_size for path in tmp_path.glob("*/*.safetensors"))
    assert sizes == [kept, kept]
    assert kept < (Path(source.model) / "model.safetensors").stat().st_size


@pytest.mark.parametrize("variant", ["fp16", "int8", "nf4"])
def test_every_tensor_of_a_model_is_counted_once(load, variant):
    loaded = load("llama", variant)
    found = resident_bytes(loaded.model, "cpu")
    loaded.server(shape(new_tokens=1)).run()  # int8 moves its codes from the weight to a state
    # and keeps 8 bytes for each outlier column of the last pass
    assert resident_bytes(loaded.model, "cpu") == pytest.approx(found, abs=64)
    parameters = sum(one.nbytes for one in loaded.model.parameters())
    if variant == "fp16":
        buffers = sum(one.nbytes for one in loaded.model.buffers())
        assert found == parameters + buffers
    else:
        assert found > parameters


def test_views_share_their_memory():
    whole = torch.zeros(10, dtype=torch.float32)
    assert tensor_bytes({"a": [whole[:3]], "b": whole[5:], "c": "text"}, "cpu") == 40
    assert tensor_bytes([whole], "meta") == 0


def test_a_shape_that_cannot_be_served_takes_no_memory(load):
    with pytest.raises(UsageError, match="the model takes 96"):
        load("llama", "fp16").memory_use(shape(length=90, new_tokens=9))


def test_a_classifier_is_not_served():
    for ask in (ClassificationModel.server, ClassificationModel.memory_use):
        with pytest.raises(UsageError, match="nothing can be timed token by token"):
            ask(None, shape())

"""Serving on a GPU: graphs write what generate does, and memory is what torch counts."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from decode_path import difference
from served import generated, shape

from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.measure.engine.llm_int8.layers import as_published
from pytest_quantcheck.measure.engine.replay import graphed
from pytest_quantcheck.measure.engine.undisturbed import undisturbed
from pytest_quantcheck.measure.latency.agreement import disagreement
from pytest_quantcheck.measure.latency.nvml import nvml_conditions
from pytest_quantcheck.measure.latency.tensors import resident_bytes

pytestmark = pytest.mark.gpu

MIB = 2**20


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("variant", ["fp16", "int8", "nf4"])
def test_eager_is_generate(checkpoint, pool, variant, rows):
    loaded = pool(checkpoint("llama")).get(builtin_variant(variant))
    server = loaded.server(shape(rows=rows))
    times = [server.run() for _ in range(3)]
    with as_published(loaded.model):
        assert server.tokens == generated(loaded.model, shape(rows=rows))
    assert all(0 < one.ttft_seconds < one.e2e_seconds for one in times)
    assert (server.mode, server.fallback) == ("eager", "")
    device_seconds = times[-1].device_seconds
    if variant == "int8":
        assert device_seconds is None  # its layers wait for the host
    else:
        assert 0 < device_seconds < min(one.e2e_seconds for one in times)


@pytest.mark.parametrize(
    ("kind", "variant"),
    [
        *((kind, "fp16") for kind in ("llama", "gpt2", "gemma2", "mistral", "qwen3")),
        ("llama", "nf4"),
        ("gpt2", "nf4"),
    ],
)
def test_graphs_write_what_generate_does(checkpoint, pool, kind, variant):
    loaded = pool(checkpoint(kind)).get(builtin_variant(variant))
    asked = shape(mode="compiled", length=30)
    server = loaded.server(asked)
    assert (server.mode, server.fallback) == ("compiled", "")
    expected = torch.tensor(generated(loaded.model, asked), device="cuda:0")
    first = server.run()
    for _ in range(2):
        found = torch.tensor(server.tokens, device="cuda:0")
        assert disagreement(loaded.model, asked, expected=expected, found=found) == ""
        server.run()
        assert server.tokens == tuple(tuple(row) for row in found.tolist())
    assert first.device_seconds < 2 * first.e2e_seconds
    server.close()


def test_graphs_are_faster_than_the_host(checkpoint, pool):
    loaded = pool(checkpoint("llama")).get(builtin_variant("fp16"))
    servers = [loaded.server(shape(mode=mode, length=30)) for mode in ("eager", "compiled")]
    for server in servers * 2:
        server.run()
    eager, compiled = (min(server.run().e2e_seconds for _ in range(5)) for server in servers)
    assert compiled < eager / 2


@pytest.mark.parametrize(
    ("kind", "variant", "reason"),
    [
        ("llama", "int8", "LLM.int8 waits for the host"),
        ("mamba", "fp32", "does not decode with a static cache"),
    ],
)
def test_what_cannot_be_captured_says_why(checkpoint, pool, kind, variant, reason):
    loaded = pool(checkpoint(kind)).get(builtin_variant(variant))
    server = loaded.server(shape(mode="compiled", new_tokens=4))
    server.run()
    assert server.mode == "eager"
    assert reason in server.fallback


def test_what_waits_for_the_host_spoils_nothing():
    held = torch.arange(4.0, device="cuda:0")
    stream = torch.cuda.current_stream()

    def waits():
        held.add_(float(held.sum().item() > 0))

    with undisturbed():
        with pytest.raises(RuntimeError, match="synchroniz"):
            graphed(waits, "cuda:0")
        assert torch.cuda.get_sync_debug_mode() == 0
        assert torch.cuda.current_stream() == stream
        held.zero_()
        replay = graphed(lambda: held.add_(1), "cuda:0")
        held.zero_()
        replay()
    assert held.tolist() == [1.0] * 4


def test_experts_are_captured_or_say_why_not(checkpoint, pool):
    loaded = pool(checkpoint("qwen3_moe")).get(builtin_variant("fp16"))
    asked = shape(mode="compiled", new_tokens=8)
    server = loaded.server(asked)
    server.run()
    assert (server.mode == "compiled") == (server.fallback == "")
    print(server.mode, server.fallback)  # noqa: T201 - for the log of the run
    expected, found = (
        torch.tensor(one, device="cuda:0")
        for one in (generated(loaded.model, asked), server.tokens)
    )
    assert disagreement(loaded.model, asked, expected=expected, found=found) == ""


@pytest.mark.parametrize("mode", ["eager", "compiled"])
@pytest.mark.parametrize("variant", ["fp16", "int8", "nf4"])
def test_a_peak_is_the_same_whatever_else_is_in_memory(checkpoint, pool, variant, mode):
    kept = pool(checkpoint("llama"))
    asked = shape(mode=mode, length=60, rows=8)
    loaded = kept.get(builtin_variant(variant))
    alone = loaded.memory_use(asked)
    kept.get(builtin_variant("bf16"))
    ballast = torch.empty(64 * MIB, dtype=torch.uint8, device="cuda:0")
    assert loaded.memory_use(asked) == alone
    assert len(ballast) == 64 * MIB
    own = resident_bytes(loaded.model, "cuda:0")
    assert own + alone.kv_cache_bytes <= alone.peak_bytes < own + 64 * MIB


@pytest.mark.parametrize("variant", ["fp16", "int8", "nf4"])
def test_a_peak_is_what_torch_counts_around_generate(checkpoint, pool, variant):
    loaded = pool(checkpoint("llama")).get(builtin_variant(variant))
    asked = shape(length=60, rows=8)
    with as_published(loaded.model):
        generated(loaded.model, asked)
        torch.cuda.empty_cache()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        generated(loaded.model, asked)
        grown = torch.cuda.max_memory_allocated() - before
    expected = resident_bytes(loaded.model, "cuda:0") + grown
    assert loaded.memory_use(asked).peak_bytes == pytest.approx(expected, rel=0.01)


def test_decoding_takes_more_memory_the_longer_it_is(checkpoint, pool):
    loaded = pool(checkpoint("llama")).get(builtin_variant("fp16"))
    asked = shape(length=8, rows=64, new_tokens=2)
    short, long = (loaded.memory_use(replace(asked, new_tokens=n)) for n in (2, 80))
    assert long.peak_decode_bytes > short.peak_decode_bytes
    assert long.kv_cache_bytes > 8 * short.kv_cache_bytes
    assert long.peak_prefill_bytes == short.peak_prefill_bytes


@pytest.mark.parametrize(
    ("kind", "variant", "tolerance_nats"),
    [("llama", "fp16", 0.03), ("llama", "nf4", 0.03), ("gpt2", "nf4", 0.03)],
)
def test_decoding_computes_what_prefill_does(checkpoint, pool, kind, variant, tolerance_nats):
    found = difference(pool(checkpoint(kind)).get(builtin_variant(variant)).model)
    print(f"{kind} {variant}: {found:.5f} nats")  # noqa: T201 - for whoever sets the tolerance
    assert found <= tolerance_nats


def test_the_driver_tells_of_this_gpu():
    torch.ones(1, device="cuda:0")
    found = nvml_conditions("cuda:0")
    if found is None:
        pytest.skip("needs nvidia-ml-py and the driver's library: pip install nvidia-ml-py")
    state = found.read()
    print(state, found.contention(), found.used_bytes())  # noqa: T201 - for the log of the run
    assert state.sm_clock_mhz is None or 100 < state.sm_clock_mhz < 5000
    assert state.temperature_celsius is None or 5 < state.temperature_celsius < 120
    said = found.contention()
    assert said in {"none", "unknown"} or said.startswith("processes ")

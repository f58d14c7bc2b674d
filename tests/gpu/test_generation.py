"""Outputs on a GPU: stop strings and samples, in batches as one at a time."""

from __future__ import annotations

import pytest
import torch

from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.measure.engine.replay import Replay
from pytest_quantcheck.measure.engine.sampling import uniforms
from pytest_quantcheck.workloads.decoding import Decoding

pytestmark = pytest.mark.gpu


def prompts(loaded):
    return [loaded.encode(f"and the {i} thing" + " a" * (i % 3), special=True) for i in range(24)]


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gemma2", "qwen3", "mamba"])
def test_batches_write_what_single_prompts_do(checkpoint, pool, kind):
    loaded = pool(checkpoint(kind)).get(builtin_variant("fp32"))
    free = loaded.generate(prompts(loaded), Decoding(max_new_tokens=12))
    stop = free[0].text[2:4]
    sampled = {"temperature": 0.8, "top_k": 40, "top_p": 0.95}
    for options in ({}, {"stop": (stop,)}, sampled):
        decoding = Decoding(max_new_tokens=12, **options)
        streams = [decoding.stream(str(i)) for i in range(24)]
        together = loaded.generate(prompts(loaded), decoding, streams=streams)
        alone = [
            loaded.generate([prompt], decoding, streams=[stream])[0]
            for prompt, stream in zip(prompts(loaded), streams, strict=True)
        ]
        assert together == alone


def test_random_numbers_are_the_same_on_cpu_and_gpu():
    streams = torch.tensor([[Decoding(temperature=1.0).stream(str(i)) >> 1] for i in range(8)])
    counters = torch.arange(100_000)

    on_gpu = uniforms(streams.cuda(), counters.cuda()).cpu()

    assert torch.equal(on_gpu, uniforms(streams, counters))


@pytest.mark.parametrize("variant", ["fp16", "nf4"])
@pytest.mark.parametrize("kind", ["llama", "gpt2", "gemma2"])
def test_captured_steps_write_what_launched_ones_do(checkpoint, pool, kind, variant):
    loaded = pool(checkpoint(kind)).get(builtin_variant(variant))
    decoding = Decoding(max_new_tokens=12)
    asked = prompts(loaded)
    loaded._generator.captures = False
    launched = loaded.generate(asked, decoding)
    loaded._generator.captures = True
    captured = []
    with pytest.MonkeyPatch.context() as patch:
        real = Replay.__call__
        patch.setattr(Replay, "__call__", lambda *a: captured.append(1) or real(*a))
        assert loaded.generate(asked, decoding) == launched
    assert captured


def test_llm_int8_is_never_captured(checkpoint, pool):
    loaded = pool(checkpoint("llama")).get(builtin_variant("int8"))
    found = loaded.generate(prompts(loaded), Decoding(max_new_tokens=6))
    loaded._generator.captures = False
    assert found == loaded.generate(prompts(loaded), Decoding(max_new_tokens=6))


@pytest.mark.parametrize("variant", ["fp16", "nf4", "int8"])
def test_an_output_does_not_depend_on_the_rows_beside_it(checkpoint, pool, variant):
    loaded = pool(checkpoint("llama")).get(builtin_variant(variant))
    assert loaded.generation_plan == "rows of a shared cache"
    asked = [one for one in prompts(loaded) if len(one) == len(prompts(loaded)[0])]
    decoding = Decoding(max_new_tokens=12)
    together = loaded.generate(asked, decoding)
    assert together[::-1] == loaded.generate(asked[::-1], decoding)
    assert together == loaded.generate(asked, decoding)

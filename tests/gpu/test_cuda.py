"""What only a CUDA device can show: dtypes, equal scores and weights, memory given back."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from engines import in_engine
from other_process import plugin_options

from pytest_quantcheck import Documents, Generation, MultipleChoice
from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.measure.engine.llm_int8.layers import packed, separate_sequences
from pytest_quantcheck.measure.engine.plan import Limits
from pytest_quantcheck.measure.engine.replay import graphed
from pytest_quantcheck.measure.engine.segments import segments_on
from pytest_quantcheck.measure.protocols import ScoreRequest
from pytest_quantcheck.measure.reference import native_precision
from pytest_quantcheck.measure.runner import Runner
from pytest_quantcheck.workloads.decoding import Decoding

pytestmark = pytest.mark.gpu

EXAMPLE = Path(__file__).parent.parent.parent / "example_project"
MIB = 2**20
QUANTIZED = ("int8", "nf4", "fp4")


def requests(count=40):
    rng = np.random.default_rng(7)
    found = []
    for _ in range(count):
        length = int(rng.integers(2, 60))
        tokens = tuple(rng.integers(4, 80, size=length).tolist())
        found.append(ScoreRequest(tokens=tokens, first_target=int(rng.integers(1, length))))
    return found


@pytest.mark.parametrize("native", [torch.float16, torch.bfloat16], ids=["fp16", "bf16"])
def test_compute_dtypes_are_never_the_float32_default(checkpoint, pool, native):
    source = checkpoint("llama", dtype=native)
    models = pool(source)
    reference = native_precision(source)

    assert reference == {torch.float16: "fp16", torch.bfloat16: "bf16"}[native]
    for name in (reference, *QUANTIZED):
        loaded = models.get(builtin_variant(name))
        half = "float16" if name == "int8" else str(native).removeprefix("torch.")
        assert loaded.compute_dtype == half
        linears = [m for m in loaded.model.modules() if hasattr(m, "compute_dtype")]
        assert all(str(linear.compute_dtype) == f"torch.{half}" for linear in linears)
        assert bool(linears) is (name in {"nf4", "fp4"})


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gemma2", "qwen3", "llama_outliers"])
@pytest.mark.parametrize("name", ["fp16", "nf4", "fp4"])
def test_batches_score_as_single_sequences_do(checkpoint, pool, kind, name):
    loaded = pool(checkpoint(kind)).get(builtin_variant(name))

    for request, found in zip(requests(), loaded.score(requests()), strict=True):
        ids = torch.tensor([request.tokens], device="cuda")
        with torch.inference_mode():
            logits = loaded.model(ids).logits[0, request.first_target - 1 : -1].float()
        plain = logits.log_softmax(-1).gather(1, ids[0, request.first_target :, None])[:, 0]
        assert np.abs(found - plain.cpu().numpy()).max() < 0.02


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gemma2", "qwen3"])
@pytest.mark.parametrize("name", ["fp16", "bf16", "fp32", *QUANTIZED])
def test_weights_are_the_same_on_cpu_and_gpu(checkpoint, pool, kind, name):
    on_gpu = pool(checkpoint(kind)).weights(builtin_variant(name))
    on_cpu = pool(checkpoint(kind, device="cpu")).weights(builtin_variant(name))

    assert on_gpu.stored_bytes == on_cpu.stored_bytes
    assert on_gpu.quantized_fraction == on_cpu.quantized_fraction
    assert on_gpu.left == on_cpu.left


def test_fused_experts_that_stay_unquantized_are_refused(checkpoint, pool):
    from pytest_quantcheck.errors import UsageError

    with pytest.raises(UsageError, match="skip_modules"):
        pool(checkpoint("qwen3_moe")).get(builtin_variant("nf4"))


def workloads():
    quiz = MultipleChoice.from_examples(
        [{"context": f"the {i} and", "choices": [" then", " thing"], "answer": i % 2}
         for i in range(64)], name="quiz")  # fmt: skip
    essay = Generation.from_examples(
        [{"prompt": f"and the {i}", "answer": "x"} for i in range(64)],
        name="essay", max_new_tokens=8)  # fmt: skip
    manual = Documents.from_examples(
        [{"text": f"the thing {i} " * (3 + i % 5)} for i in range(32)], name="manual")  # fmt: skip
    return quiz, essay, manual


def test_memory_is_given_back(checkpoint, pool):
    # cuBLAS keeps a workspace of some MiB from its first product on, whoever asked for it, for
    # the usual stream and for the one on which torch captures graphs.
    for dtype in (torch.float16, torch.float32):
        ones = torch.ones(64, 64, device="cuda", dtype=dtype)
        graphed(partial(ones.mm, ones), "cuda")
    del ones
    gc.collect()
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    runner = Runner(pool(checkpoint("llama")), reference=builtin_variant("fp16"))
    measured = [
        runner.measure(builtin_variant(name), workload)
        for name in ("fp16", *QUANTIZED)
        for workload in workloads()
    ]

    runner.close()

    assert len(measured) == 12
    assert abs(torch.cuda.memory_allocated() - before) < MIB


def test_running_out_of_memory_halves_the_batch(checkpoint, pool):
    own = pool(checkpoint("llama")).get(builtin_variant("fp16"))
    greedy = in_engine(own, Limits(batch_tokens=2**22, logits=2**31))
    rng = np.random.default_rng(0)
    many = [
        ScoreRequest(tokens=tuple(rng.integers(4, 80, size=90).tolist()), first_target=1)
        for _ in range(4000)
    ]
    expected = own.score(many)
    gc.collect()
    torch.cuda.empty_cache()
    held = torch.cuda.memory_reserved()
    total = torch.cuda.get_device_properties(0).total_memory
    retries = torch.cuda.memory_stats()["num_ooms"]
    try:
        torch.cuda.set_per_process_memory_fraction((held + 160 * MIB) / total)
        found = greedy.score(many)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)

    assert torch.cuda.memory_stats()["num_ooms"] > retries
    worst = max(np.abs(a - b).max() for a, b in zip(expected, found, strict=True))
    assert worst < 0.02


def test_generation_equals_generate_one_by_one(checkpoint, pool):
    loaded = pool(checkpoint("llama")).get(builtin_variant("fp32"))
    prompts = [loaded.encode(f"and the {i} thing", special=True) for i in range(24)]
    found = [one.tokens for one in loaded.generate(prompts, Decoding(max_new_tokens=12))]

    for prompt, answer in zip(prompts, found, strict=True):
        ids = torch.tensor([prompt], device="cuda")
        plain = loaded.model.generate(ids, do_sample=False, max_new_tokens=12)[0, len(prompt) :]
        ended = plain.tolist().index(2) if 2 in plain.tolist() else len(plain)
        assert list(answer) == plain.tolist()[:ended]


def test_the_example_breaks_in_the_same_places_on_gpu_and_cpu(tmp_path):
    """Rounding differs between devices, so a verdict near its limit may be open on one of them."""
    runs = {}
    for device in ("cuda", "cpu"):
        out = tmp_path / f"{device}.json"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *plugin_options(), "-q",
             "-p", "no:cacheprovider", f"--quant-device={device}", f"--quant-json={out}"],
            cwd=EXAMPLE, capture_output=True, text=True, check=False,
        )  # fmt: skip
        sys.stdout.write(done.stdout[-6000:])
        assert done.returncode == 1, done.stdout + done.stderr
        runs[device] = json.loads(out.read_text(encoding="utf-8"))
    checks = {
        device: {(c["nodeid"], c["keyword"]): c for c in run["checks"]}
        for device, run in runs.items()
    }
    bytes_of = {
        device: {m["variant"]: m["weight_bytes"] for m in run["measurements"]}
        for device, run in runs.items()
    }
    assert checks["cuda"].keys() == checks["cpu"].keys()
    for key, ours in checks["cuda"].items():
        theirs = checks["cpu"][key]
        assert {ours["outcome"], theirs["outcome"]} != {"pass", "fail"}, key
        assert (ours["outcome"] == "fail") == (theirs["outcome"] == "fail"), key
        if ours["is_statistical"] and ours["level_unit"] != "milliseconds":
            assert ours["low"] <= theirs["value"] <= ours["high"], key
    assert bytes_of["cuda"] == bytes_of["cpu"]


def test_int8_scores_do_not_depend_on_the_batch(checkpoint, pool):
    loaded = pool(checkpoint("llama_outliers")).get(builtin_variant("int8"))
    together = loaded.score(requests())

    alone = [loaded.score([request])[0] for request in requests()]

    worst = max(np.abs(a - b).max() for a, b in zip(together, alone, strict=True))
    assert worst < 0.02


def test_int8_rows_of_a_packed_tree_are_those_of_each_path_alone():
    from bitsandbytes.nn import Int8Params, Linear8bitLt

    rng = torch.Generator().manual_seed(0)
    layer = Linear8bitLt(512, 256, bias=False, has_fp16_weights=False, threshold=6.0)
    weight = torch.randn(256, 512, generator=rng).half()
    layer.weight = Int8Params(weight, requires_grad=False, has_fp16_weights=False)
    layer = layer.cuda().eval()
    rows = torch.randn(300, 512, generator=rng).clamp(-4, 4).half().cuda()
    rows[0, 3] = rows[100, 70] = rows[200, 200] = 20.0  # seen by all rows behind them
    of = np.repeat([0, 1, 2], 100)
    paths = {0: [0], 1: [0, 1], 2: [0, 2]}
    alone = {one: layer(rows[np.isin(of, path)][None])[0] for one, path in paths.items()}

    separate_sequences(layer)
    with torch.inference_mode(), packed(segments_on("cuda", of, (-1, 0, 0))):
        found = layer(rows[None])[0]

    for one, expected in alone.items():
        worst = (found[of == one] - expected[-100:]).abs().max()
        assert worst < 0.1  # of outputs of about 23: fp16 keeps three digits

"""Packs on a GPU: torch's kernel against a mask of every row, and scores against a plain loop."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import tiny_models
import torch
import trees
from engines import in_engine

from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.measure.engine.blocks import BlockKernel
from pytest_quantcheck.measure.engine.causal import CausalModel
from pytest_quantcheck.measure.engine.loaded import Loaded
from pytest_quantcheck.measure.engine.plan import Limits, Plan
from pytest_quantcheck.measure.engine.varlen import VarlenKernel, find_varlen

pytestmark = pytest.mark.gpu

VARLEN = "packed tree, varlen attention"
LLAMA_1B = (32, 8, 64)
"""Heads, heads of keys, and their size."""
MHA = (12, 12, 64)
PACKS = {
    "few shots": trees.few_shot(questions=40, options=4, shots=600),
    "contexts": trees.few_shot(questions=80, options=4, shots=1),
    "documents": [trees.ask(np.arange(4, 4 + size) % 80 + 4) for size in (2048, 700, 33)],
}


def kernels():
    for repeats_keys in (False, True):
        function = find_varlen(repeats_keys=repeats_keys)
        assert function is not None
        yield VarlenKernel(function)
    yield BlockKernel()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", [LLAMA_1B, MHA], ids=["1B", "MHA"])
@pytest.mark.parametrize("requests", PACKS.values(), ids=PACKS)
def test_each_row_sees_its_own_sequence_and_nothing_else(requests, shape, dtype):
    pack = trees.one_pack(requests)
    heads, shared, size = shape
    generator = torch.Generator("cuda").manual_seed(0)
    parts = [
        torch.randn(len(pack.tokens), n, size, generator=generator, device="cuda", dtype=dtype)
        for n in (heads, shared, shared)
    ]
    expected = trees.dense_attention(*parts, pack, size**-0.5)
    for kernel in kernels():
        layout = kernel.load(pack, torch.device("cuda", 0))
        found = kernel.attend(*parts, scale=size**-0.5, layout=layout)
        assert (found.float() - expected).abs().max() < 8 * torch.finfo(dtype).eps


def a_loop(loaded, requests):
    """Return what a plain loop over single sequences makes of them, in float32 at the end."""
    found = []
    with torch.inference_mode():
        for one in requests:
            logits = loaded.model(torch.tensor([one.tokens[:-1]], device="cuda")).logits[0].float()
            nats = logits.log_softmax(-1)[torch.arange(len(one.tokens) - 1), list(one.tokens[1:])]
            found.append(nats[one.first_target - 1 :].cpu().numpy())
    return found


def worst(one, other):
    return max(float(np.abs(a - b).max()) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("kind", "name", "nats"),
    [
        *(("llama", name, nats) for name, nats in (("fp16", 0.03), ("bf16", 0.3), ("nf4", 0.03))),
        *(("qwen3", name, nats) for name, nats in (("fp16", 0.03), ("bf16", 0.3), ("nf4", 0.03))),
        ("gpt2", "fp16", 0.03),
    ],
)
def test_packs_score_as_single_sequences_do(checkpoint, pool, kind, name, nats):
    loaded = pool(checkpoint(kind)).get(builtin_variant(name))
    asked = trees.few_shot()
    scores = loaded.score(asked)
    assert loaded.plan == VARLEN
    assert worst(scores, a_loop(loaded, asked)) < nats


def test_a_mixture_of_experts_is_packed(checkpoint, pool):
    loaded = pool(checkpoint("qwen3_moe")).get(builtin_variant("fp16"))
    asked = trees.few_shot()
    scores = loaded.score(asked)
    assert loaded.plan == VARLEN
    # A tie between experts may fall either way, for few tokens.
    differences = [np.abs(a - b) for a, b in zip(scores, a_loop(loaded, asked), strict=True)]
    assert np.median(np.concatenate(differences)) < 0.01


def test_float32_is_packed_without_the_kernel(checkpoint, pool):
    loaded = pool(checkpoint("llama")).get(builtin_variant("fp32"))
    asked = trees.few_shot()
    scores = loaded.score(asked)
    assert loaded.plan == "packed tree, segments"
    assert worst(scores, a_loop(loaded, asked)) < 1e-3


@pytest.mark.parametrize("name", ["fp16", "int8", "nf4"])
def test_packs_of_another_size_change_last_bits_only(checkpoint, pool, name):
    loaded = pool(checkpoint("llama_outliers")).get(builtin_variant(name))
    asked = trees.few_shot()
    scores = loaded.score(asked)
    assert loaded.plan == VARLEN
    small = in_engine(loaded, Limits(batch_tokens=90, logits=2**26))
    assert worst(scores, small.score(asked)) < 0.05
    batches = in_engine(loaded, plan=Plan.BATCHES)
    assert worst(scores, batches.score(asked)) < 0.3


def test_nothing_waits_for_the_device_between_packs(checkpoint, pool):
    loaded = pool(checkpoint("llama")).get(builtin_variant("fp16"))
    asked = trees.few_shot()
    loaded.score(asked)
    packs = []

    def advance(*_told):
        packs.append(1)
        torch.cuda.set_sync_debug_mode("error" if len(packs) < 3 else "default")

    small = in_engine(loaded, Limits(batch_tokens=90, logits=2**26))
    try:
        small.score(asked, advance=advance)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(packs) >= 3


def test_scoring_leaves_no_memory_behind(checkpoint, pool):
    loaded = pool(checkpoint("llama")).get(builtin_variant("fp16"))
    loaded.score(trees.few_shot())
    gc.collect()
    before = torch.cuda.memory_allocated()
    loaded.score(trees.few_shot(seed=1, questions=40))
    gc.collect()
    assert abs(torch.cuda.memory_allocated() - before) < 2**20


def test_the_vocabulary_of_a_large_model_is_read_in_chunks():
    config = tiny_models.make_config("llama").to_dict() | {"vocab_size": 128_256}
    config.pop("model_type")
    with torch.device("cuda"):
        model = tiny_models.transformers.LlamaForCausalLM(
            tiny_models.transformers.LlamaConfig(**config)
        )
    loaded = CausalModel(
        Loaded(
            model=model.half().eval(), tokenizer=tiny_models.make_tokenizer(), device="cuda:0",
            compute_dtype="float16", weights=None,
        )
    )  # fmt: skip
    asked = [trees.ask(range(4, 94)), *trees.few_shot(questions=40)]
    loaded.score(asked)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    scores = loaded.score(asked)
    assert torch.cuda.max_memory_allocated() - before < 700 * 2**20
    assert worst(scores, a_loop(loaded, asked)) < 0.02

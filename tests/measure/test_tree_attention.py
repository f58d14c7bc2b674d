"""Attention of packs equals attention with a mask of every row and key."""

from __future__ import annotations

import inspect
import sys
from typing import NamedTuple

import numpy as np
import pytest
import tiny_models
import torch
import trees
from engines import in_engine

from pytest_quantcheck.measure.engine import attention, blocks, probe, varlen
from pytest_quantcheck.measure.engine.attention import UnsupportedAttentionError
from pytest_quantcheck.measure.engine.blocks import BlockKernel
from pytest_quantcheck.measure.engine.kernels import merges
from pytest_quantcheck.measure.engine.plan import Limits, Plan
from pytest_quantcheck.measure.engine.varlen import VarlenKernel, adapt_varlen, find_varlen

CPU = torch.device("cpu")
SHAPES = [(4, 4, 16), (4, 2, 16), (6, 1, 8)]
PACKS = {
    "three levels": trees.few_shot(),
    "two levels": trees.few_shot(shots=1, questions=8),
    "nothing shared": trees.few_shot(options=1, questions=0),
    "one sequence": [trees.ask(range(4, 170))],
    "one tree of long segments": [
        trees.ask((*range(4, 100), first, *range(4, 80), second, *range(9, 75)))
        for first in (1, 2)
        for second in (1, 2)
    ],
}


class Aux(NamedTuple):
    lse: bool = False


def emulated(query, key, value, cu_q, cu_k, most_q, most_k, *, causal, scale, times=1):
    """Return what the kernel returns, and check what it is given."""
    assert query.shape[1] == key.shape[1] * times
    assert cu_q.dtype == cu_k.dtype == torch.int32
    assert (int(cu_q[-1]), int(cu_k[-1])) == (len(query), len(key))
    assert (most_q, most_k) == (int(cu_q.diff().max()), int(cu_k.diff().max()))
    key, value = (one.repeat_interleave(times, dim=1) for one in (key, value))
    found = torch.empty_like(query)
    lse = torch.empty(query.shape[1], len(query))
    for run in range(len(cu_q) - 1):
        q, k = (slice(int(cu[run]), int(cu[run + 1])) for cu in (cu_q, cu_k))
        logits = torch.einsum("thd,shd->hts", query[q].float(), key[k].float()) * scale
        if causal:
            assert q == k
            logits = logits.masked_fill(torch.ones(logits.shape[1:]).triu(1) > 0, -torch.inf)
        lse[:, q] = logits.logsumexp(-1)
        found[q] = torch.einsum("hts,shd->thd", logits.softmax(-1), value[k].float()).to(
            found.dtype
        )
    return found, lse


def newest(
    query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, *, return_aux=None, scale=None,
    window_size=(-1, -1), enable_gqa=False, num_splits=None,
):  # fmt: skip
    """Stand for torch 2.13."""
    assert return_aux.lse
    assert num_splits == 1
    assert window_size in {(-1, -1), (-1, 0)}
    times = query.shape[1] // key.shape[1] if enable_gqa else 1
    return emulated(
        query, key, value, cu_seq_q, cu_seq_k, max_q, max_k,
        causal=window_size == (-1, 0), scale=scale, times=times,
    )  # fmt: skip


def first(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, is_causal=False, return_aux=None):  # noqa: FBT002 - torch has it so
    """Stand for torch 2.10: no scale, and heads that share keys are nobody's business."""
    assert return_aux.lse
    scale = query.shape[-1] ** -0.5
    return emulated(
        query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, causal=is_causal, scale=scale
    )


def rows_first(*parts, **options):
    """Stand for a release that does what its documentation says."""
    found, lse = newest(*parts, **options)
    return found, lse.t()


rows_first.__signature__ = inspect.signature(newest)
KERNELS = {
    "blocks": BlockKernel(),
    "newest": VarlenKernel(adapt_varlen(newest, Aux(lse=True), repeats_keys=False)),
    "newest, rows first": VarlenKernel(adapt_varlen(rows_first, Aux(lse=True), repeats_keys=False)),
    "newest, keys repeated": VarlenKernel(adapt_varlen(newest, Aux(lse=True), repeats_keys=True)),
    "first, keys repeated": VarlenKernel(adapt_varlen(first, Aux(lse=True), repeats_keys=True)),
}


def random_parts(pack, shape, dtype=torch.float32):
    heads, shared, size = shape
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(len(pack.tokens), n, size, generator=generator).to(dtype)
        for n in (heads, shared, shared)
    ]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("requests", PACKS.values(), ids=PACKS)
@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_each_row_sees_its_own_sequence_and_nothing_else(kernel, requests, shape):
    pack = trees.one_pack(requests)
    parts = random_parts(pack, shape)
    found = kernel.attend(*parts, scale=0.3, layout=kernel.load(pack, CPU))
    assert torch.allclose(found, trees.dense_attention(*parts, pack, 0.3), atol=1e-5)


@pytest.mark.parametrize("name", ["three levels", "one tree of long segments"])
def test_log_sum_exps_of_rows_above_are_not_read_again(monkeypatch, name):
    def merge(*parts):
        lse, rows = merges.merge(*parts), parts[-1]
        return torch.full_like(lse, torch.nan).index_copy_(1, rows, lse[:, rows])

    monkeypatch.setattr(varlen, "merge", merge)
    pack = trees.one_pack(PACKS[name])
    parts = random_parts(pack, (4, 2, 16))
    kernel = KERNELS["newest"]
    found = kernel.attend(*parts, scale=0.3, layout=kernel.load(pack, CPU))
    assert torch.allclose(found, trees.dense_attention(*parts, pack, 0.3), atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_half_precision_loses_its_last_bits_only(kernel, dtype):
    pack = trees.one_pack(PACKS["three levels"])
    parts = random_parts(pack, (4, 2, 16), dtype)
    found = kernel.attend(*parts, scale=0.25, layout=kernel.load(pack, CPU))
    assert found.dtype == dtype
    expected = trees.dense_attention(*parts, pack, 0.25)
    assert torch.allclose(found.float(), expected, atol=4 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("size", [1, 3, 16, 1000])
@pytest.mark.parametrize("requests", PACKS.values(), ids=PACKS)
def test_blocks_of_any_size_cover_each_row_once(monkeypatch, requests, size):
    monkeypatch.setattr(blocks, "_ROWS_ON_CPU", size)
    pack = trees.one_pack(requests)
    kernel = BlockKernel()
    layout = kernel.load(pack, CPU)
    rows = [row for one in layout for row in range(one.block.start, one.block.stop)]
    assert rows == list(range(len(pack.tokens)))
    assert max(one.block.stop - one.block.start for one in layout) <= size
    parts = random_parts(pack, (4, 2, 8))
    found = kernel.attend(*parts, scale=0.3, layout=layout)
    assert torch.allclose(found, trees.dense_attention(*parts, pack, 0.3), atol=1e-5)


def test_a_short_sequence_alone_needs_no_mask():
    layout = BlockKernel().load(trees.one_pack([trees.ask(range(4, 40))]), CPU)
    assert [one.mask for one in layout] == [None]


def test_torch_has_the_kernel_that_is_adapted():
    assert find_varlen(repeats_keys=False) is not None


@pytest.mark.parametrize("kind", ["llama", "gpt2", "qwen3"])
def test_a_model_scores_through_the_kernel_as_single_sequences_do(load, monkeypatch, kind):
    loaded = load(kind, "fp16")
    monkeypatch.setattr(probe, "_kernels", lambda *_: [(Plan.VARLEN, KERNELS["newest"])])
    model = in_engine(loaded, Limits(batch_tokens=200, logits=1))
    asked = trees.few_shot()
    scores = model.score(asked)
    assert model.plan == "packed tree, varlen attention"
    for found, one in zip(scores, asked, strict=True):
        expected = tiny_models.naive_scores(model.model, one.tokens, one.first_target)
        assert np.abs(found - expected).max() < 1e-4


def test_kernels_are_tried_from_the_fastest(monkeypatch):
    found = list(probe._kernels("cuda:0", torch.bfloat16, None))
    assert [plan for plan, _ in found] == [Plan.VARLEN, Plan.VARLEN, Plan.SEGMENTS]
    assert [plan for plan, _ in probe._kernels("cuda:0", torch.float32, None)] == [Plan.SEGMENTS]
    assert [plan for plan, _ in probe._kernels("cpu", torch.bfloat16, None)] == [Plan.SEGMENTS]
    monkeypatch.delattr(torch.nn.attention, "varlen")
    monkeypatch.setitem(sys.modules, "torch.nn.attention.varlen", None)
    assert find_varlen(repeats_keys=False) is None
    assert [plan for plan, _ in probe._kernels("cuda:0", torch.float16, None)] == [Plan.SEGMENTS]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"mask": torch.ones(1)}, "a mask of its own"),
        ({"sliding_window": 30}, "a sliding window"),
        ({"softcap": 50.0}, "softcapping"),
        ({"s_aux": torch.ones(1)}, "sinks"),
        ({"position_bias": torch.ones(1)}, "biases by position"),
        ({"is_causal": False}, "both sides"),
    ],
)
def test_attention_that_packs_cannot_give_is_refused(options, reason):
    mask = options.pop("mask", None)
    with pytest.raises(UnsupportedAttentionError, match=reason):
        attention._refuse(torch.nn.Identity(), mask, options, longest=31)


@pytest.mark.parametrize("options", [{}, {"sliding_window": 31}, {"sliding_window": None}])
def test_attention_that_packs_can_give_is_not_refused(options):
    allowed = options | {"is_causal": True}

    assert attention._refuse(torch.nn.Identity(), None, allowed, longest=31) is None

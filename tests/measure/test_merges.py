"""Attention in parts is attention to all keys."""

from __future__ import annotations

import pytest
import torch

from pytest_quantcheck.measure.engine.kernels import merges
from pytest_quantcheck.measure.engine.kernels.merges import is_proven, merge

CPU = torch.device("cpu")
HEADS, WIDTH = 3, 10
ROWS = torch.tensor([7, 0, 3, 4])
HALVES = [torch.float16, torch.bfloat16]


@pytest.fixture(autouse=True)
def nothing_proven():
    """Let each test try the kernel anew."""
    is_proven.cache_clear()
    yield
    is_proven.cache_clear()


def attention(logits, values):
    """Return (t, h, d) of logits (h, t, s) and values (h, s, d), and log-sum-exps (h, t)."""
    return (logits.softmax(-1) @ values).transpose(0, 1), logits.logsumexp(-1)


def random(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))) * 2


@pytest.mark.parametrize("dtype", [*HALVES, torch.float32])
def test_two_parts_are_the_whole(monkeypatch, dtype):
    monkeypatch.setattr(merges, "_CHUNK_ROWS", 3)
    logits, values = random(HEADS, 9, 17), random(HEADS, 17, WIDTH)
    expected, expected_lse = attention(logits[:, ROWS], values)
    found, lse = attention(logits[..., :5], values[:, :5])
    part, part_lse = attention(logits[:, ROWS, 5:], values[:, 5:])
    found, part = found.to(dtype), part.to(dtype)
    others = [row for row in range(9) if row not in ROWS]
    untouched = found[others].clone()

    lse = merge(found, part, lse, part_lse, ROWS)

    unit = max(torch.finfo(dtype).eps, 1e-5)
    torch.testing.assert_close(found[ROWS].float(), expected, rtol=unit, atol=2 * unit)
    torch.testing.assert_close(lse[:, ROWS], expected_lse)
    assert torch.equal(found[others], untouched)


def test_what_attends_to_nothing_has_no_weight():
    found, part = torch.zeros(3, 1, 2), torch.ones(3, 1, 2)
    lse, part_lse = torch.tensor([[[-torch.inf, 5.0, -torch.inf]], [[5.0, -torch.inf, -torch.inf]]])

    lse = merge(found, part, lse, part_lse, torch.arange(3))

    assert found[:2].tolist() == [[[1.0, 1.0]], [[0.0, 0.0]]]
    assert bool(found[2].isnan().all())  # nothing at all
    assert lse.tolist() == [[5.0, 5.0, -torch.inf]]


def stand_in(change):
    """Return what stands for the kernel: right, or nearly."""

    def kernel(found, part, lse, part_lse, rows):
        if change == "weights":
            part_lse = part_lse + 0.01
        lse = merges._by_torch(found, part, lse, part_lse, rows)
        if change == "other rows":
            found[1] = 0
        return lse + 1e-4 if change == "lse" else lse

    return kernel


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize(
    ("change", "is_right"),
    [("nothing", True), ("weights", False), ("other rows", False), ("lse", False)],
)
def test_a_kernel_is_used_where_it_is_right(monkeypatch, dtype, change, is_right):
    monkeypatch.setattr(merges, "fused_merge", stand_in(change))
    assert is_proven(CPU, dtype, HEADS, WIDTH) is is_right


def test_a_kernel_that_does_not_run_is_not_used():
    assert not is_proven(CPU, torch.float16, HEADS, WIDTH)  # no Triton, or no GPU

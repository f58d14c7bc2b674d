"""Log-probabilities of some tokens by our kernel: torch's own, and nothing of the vocabulary."""

from __future__ import annotations

import pytest
import torch

from pytest_quantcheck.measure.engine.kernels.log_softmax import (
    is_proven,
    log_softmax_at,
    normalizers,
)

pytestmark = pytest.mark.gpu
CUDA = torch.device("cuda", 0)
DTYPES = [torch.float16, torch.bfloat16, torch.float32]


def random(*shape, dtype, scale=1.0):
    generator = torch.Generator("cuda").manual_seed(0)
    return (torch.randn(shape, generator=generator, device="cuda") * scale).to(dtype)


def places(logits, each=3):
    """Return rows and targets, several of each row, in no order."""
    generator = torch.Generator("cuda").manual_seed(1)
    count = each * len(logits)
    return (
        torch.randint(size, (count,), generator=generator, device="cuda") for size in logits.shape
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("vocabulary", [7, 8192, 49_152, 50_257, 128_256])
def test_the_kernel_runs_and_is_right(vocabulary, dtype):
    assert is_proven(CUDA, dtype, vocabulary)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [0.1, 3.0, 30.0])
@pytest.mark.parametrize("shape", [(5, 1), (9, 7), (3, 8193), (65, 50_257), (200, 128_256)])
def test_values_are_those_of_float64(shape, scale, dtype):
    logits = random(*shape, dtype=dtype, scale=scale)
    rows, targets = places(logits)
    expected = logits.double().log_softmax(-1)[rows, targets]
    found = log_softmax_at(logits, rows, targets)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=2**-22, atol=3e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("held", [slice(0, 1), slice(9000, 9001), slice(0, 9000), slice(None)])
def test_values_that_are_not_finite_are_those_of_torch(held, value, dtype):
    logits = random(3, 20_011, dtype=dtype)
    logits[1, held] = value
    rows, targets = torch.cartesian_prod(
        torch.arange(3, device="cuda"), torch.tensor([0, 5, 9000, 20_010], device="cuda")
    ).T
    expected = torch.log_softmax(logits, dim=-1, dtype=torch.float32)[rows, targets]
    found = log_softmax_at(logits, rows, targets)
    torch.testing.assert_close(found, expected, rtol=2**-21, atol=4e-6, equal_nan=True)


@pytest.mark.parametrize("dtype", DTYPES)
def test_logits_of_any_strides(dtype):
    logits = random(40, 9000, dtype=dtype)
    for some in (logits[::3, 5:8800], logits[7:, 1:], logits.t()[:100]):
        rows, targets = places(some)
        expected = some.double().log_softmax(-1)[rows, targets]
        found = log_softmax_at(some, rows, targets)
        torch.testing.assert_close(found.double(), expected, rtol=2**-22, atol=3e-6)


def test_nothing_of_the_size_of_the_logits_is_made():
    logits = random(512, 128_256, dtype=torch.float16)
    rows, targets = places(logits)
    log_softmax_at(logits, rows, targets)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    log_softmax_at(logits, rows, targets)
    assert torch.cuda.max_memory_allocated() - before < 2**20


def test_a_row_has_the_same_bits_among_others():
    logits = random(300, 49_152, dtype=torch.bfloat16, scale=5.0)
    assert torch.equal(normalizers(logits)[:, 200:], normalizers(logits[200:].clone()))

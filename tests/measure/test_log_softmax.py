"""Log-probabilities of some tokens: torch's own, by whatever kernel."""

from __future__ import annotations

import pytest
import torch

from pytest_quantcheck.measure.engine import likelihoods
from pytest_quantcheck.measure.engine.kernels import log_softmax
from pytest_quantcheck.measure.engine.kernels.log_softmax import is_proven, log_softmax_at

CPU = torch.device("cpu")
DTYPES = [torch.float16, torch.bfloat16, torch.float32]


@pytest.fixture(autouse=True)
def nothing_proven():
    """Let each test try the kernel anew."""
    is_proven.cache_clear()
    yield
    is_proven.cache_clear()


def right(logits):
    """Stand for the kernel: blocks of three, a running maximum and a running sum."""
    top = torch.full((len(logits),), -torch.inf)
    total = torch.zeros(len(logits))
    for block in torch.split(logits.float(), 3, dim=1):
        higher = torch.fmax(top, torch.where(block.isnan(), -torch.inf, block).amax(1))
        shift = torch.where(higher == -torch.inf, 0.0, higher)
        total = total * (top - shift).exp() + (block - shift[:, None]).exp().sum(1)
        top = higher
    return torch.stack((top, total.log()))


def wrong(change):
    def kernel(logits):
        found = right(logits)
        if change == "sum":
            found[1] += 1e-5
        elif change == "NaN":
            found[1] = found[1].nan_to_num(nan=0.0)
        elif change == "-inf":
            found[:, found[0] == -torch.inf] = 0.0
        return found

    return kernel


@pytest.mark.parametrize("dtype", DTYPES)
def test_several_targets_of_a_row_in_any_order(dtype):
    logits = torch.randn((5, 33), generator=torch.Generator().manual_seed(0)).to(dtype)
    rows, targets = torch.tensor([[4, 0, 4, 1, 4], [32, 0, 7, 7, 32]])
    expected = logits.double().log_softmax(-1)[rows, targets]
    found = log_softmax_at(logits, rows, targets)
    assert found.dtype == torch.float32
    assert torch.allclose(found.double(), expected, atol=1e-6)


def test_logits_of_any_strides():
    logits = torch.randn((20, 40), generator=torch.Generator().manual_seed(0))
    rows, targets = torch.arange(10), torch.arange(10)
    for some in (logits[::2, 3:30], logits.t()[5:]):
        expected = some.double().log_softmax(-1)[rows, targets]
        assert torch.allclose(log_softmax_at(some, rows, targets).double(), expected, atol=1e-6)


@pytest.mark.parametrize("place", [0, 6])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_one_value_that_is_no_logit_makes_a_row_nan(value, place):
    logits = torch.zeros((2, 7))
    logits[0, place] = value
    rows, targets = torch.tensor([[0, 0, 1], [0, 6, 3]])
    assert log_softmax_at(logits, rows, targets).isnan().tolist() == [True, True, False]


def test_logits_of_minus_infinity_are_never_predicted():
    logits = torch.full((2, 7), -torch.inf)
    logits[0, 5] = 2.0
    rows, targets = torch.tensor([[0, 0, 1], [0, 5, 5]])
    found = log_softmax_at(logits, rows, targets)
    assert found[:2].tolist() == [-torch.inf, 0.0]
    assert bool(found[2].isnan())  # of nothing else: no distribution


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("vocabulary", [1, 7, 1000])
def test_a_kernel_that_is_right_is_used(monkeypatch, dtype, vocabulary):
    monkeypatch.setattr(log_softmax, "normalizers", right)
    assert is_proven(CPU, dtype, vocabulary)


@pytest.mark.parametrize("change", ["sum", "NaN", "-inf"])
def test_a_kernel_that_gives_something_else_is_not_used(monkeypatch, change):
    monkeypatch.setattr(log_softmax, "normalizers", wrong(change))
    assert not is_proven(CPU, torch.float16, 1000)


def test_a_kernel_that_does_not_run_is_not_used():
    assert not is_proven(CPU, torch.float16, 1000)  # no Triton, or no GPU


@pytest.mark.parametrize(
    ("vocabulary", "rows"),
    [(32_000, 2048), (49_152, 1280), (128_256, 512), (262_144, 256), (2**20, 64), (2**27, 1)],
)
def test_the_head_takes_whole_tiles_on_a_gpu(vocabulary, rows):
    assert likelihoods._rows_at_once(vocabulary, torch.device("cuda", 0)) == rows


@pytest.mark.parametrize(("vocabulary", "rows"), [(128_256, 261), (2**27, 1)])
def test_the_head_takes_what_memory_allows_on_a_cpu(vocabulary, rows):
    assert likelihoods._rows_at_once(vocabulary, CPU) == rows

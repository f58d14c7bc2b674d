"""Attention in parts, merged by our kernel: rounded once, in any layout, in its own rows alone."""

from __future__ import annotations

import pytest
import torch

from pytest_quantcheck.measure.engine.kernels.merges import fused_merge, is_proven

pytestmark = pytest.mark.gpu
DTYPES = [torch.float16, torch.bfloat16]
SHAPES = [(1, 1), (3, 10), (32, 128), (9, 64), (71, 80), (12, 96), (5, 256), (2, 200), (128, 32)]
"""Heads and features."""


@pytest.fixture
def random():
    generator = torch.Generator("cuda").manual_seed(0)
    return lambda *shape: torch.randn(shape, generator=generator, device="cuda")


def some_rows(count, among):
    generator = torch.Generator("cuda").manual_seed(1)
    return torch.randperm(among, generator=generator, device="cuda")[:count]


def assert_merged(found, part, lse, part_lse, rows):
    """Merge, and compare with float64 what is to change and with itself what is not."""
    before, own_lse = found.clone(), lse[:, rows].double()
    weights = torch.sigmoid(part_lse.double() - own_lse).T[..., None]
    expected = before.double().index_copy(
        0, rows, before[rows].double().lerp(part.double(), weights)
    )
    expected_lse = torch.logaddexp(part_lse.double(), own_lse)

    merged_lse = fused_merge(found, part, lse, part_lse, rows)

    half_a_unit = torch.finfo(found.dtype).eps / 2
    torch.testing.assert_close(
        found.double(), expected, rtol=half_a_unit * 1.01, atol=1e-6, equal_nan=True
    )
    torch.testing.assert_close(merged_lse[:, rows].double(), expected_lse, rtol=1e-6, atol=1e-6)
    untouched = torch.isin(torch.arange(len(found), device="cuda"), rows, invert=True)
    assert torch.equal(found[untouched], before[untouched])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_kernel_runs_and_is_right(shape, dtype):
    assert is_proven(torch.device("cuda", 0), dtype, *shape)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("below", "rows"), [(1, 1), (17, 50), (1234, 3001)])
def test_values_are_those_of_float64(random, below, rows, shape, dtype):
    heads, width = shape
    lse, part_lse = random(heads, rows) * 5, random(heads, below) * 5
    found, part = (random(n, heads, width).to(dtype) for n in (rows, below))
    assert_merged(found, part, lse, part_lse, some_rows(below, rows))


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_that_attend_to_nothing(random, dtype):
    rows = some_rows(20, 50)
    lse, part_lse = random(4, 50), random(4, 20)
    part_lse[:, :10] = -torch.inf
    lse[:, rows[5:15]] = -torch.inf
    found, part = (random(n, 4, 64).to(dtype) for n in (50, 20))
    assert_merged(found, part, lse, part_lse, rows)
    assert bool(found[rows[5:10]].isnan().all())
    assert torch.equal(found[rows[10:15]], part[10:15])


@pytest.mark.parametrize("dtype", DTYPES)
def test_any_layout(random, dtype):
    found = random(6, 90, 48).to(dtype).transpose(0, 1)[..., 5:45]
    part = random(33, 9, 40).to(dtype)[:, 1:7]
    lse, part_lse = random(90, 6).t(), random(33, 12)[:, ::2].t()
    assert_merged(found, part, lse, part_lse, some_rows(33, 90))

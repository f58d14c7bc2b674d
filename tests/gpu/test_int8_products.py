"""Products of LLM.int8 by kernels of our own against bitsandbytes', to the bit."""

from __future__ import annotations

import pytest
import torch

from pytest_quantcheck.measure.engine.llm_int8.products import (
    TILES,
    FusedProducts,
    PlainProducts,
    Weight,
    products_for,
)

pytestmark = pytest.mark.gpu


def make(rows, outputs, width, *, has_bias=False, dtype=torch.float16):
    generator = torch.Generator(device="cuda").manual_seed(0)
    codes, inputs = (
        torch.randint(-127, 128, (length, width), generator=generator, device="cuda").to(torch.int8)
        for length in (outputs, rows)
    )
    scales, others = (
        torch.rand(length, generator=generator, device="cuda") * 6 for length in (outputs, rows)
    )
    bias = torch.randn(outputs, generator=generator, device="cuda").to(dtype) if has_bias else None
    return Weight(codes=codes, scales=scales, bias=bias), inputs, others


@pytest.mark.parametrize("tile", TILES, ids=lambda tile: f"{tile.rows}x{tile.outputs}")
@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize(
    ("rows", "outputs", "width"),
    [(1, 48, 64), (7, 512, 2048), (300, 192, 576), (3001, 1000, 1536), (5000, 4096, 14_336)],
)
def test_products_are_those_of_bitsandbytes(rows, outputs, width, has_bias, tile):
    weight, codes, scales = make(rows, outputs, width, has_bias=has_bias)
    found = FusedProducts(tile).product(codes, scales, weight)
    assert torch.equal(found, PlainProducts(torch.float16).product(codes, scales, weight))


@pytest.mark.parametrize("count", [1, 64, 192, 3000])
def test_columns_are_dequantized_as_bitsandbytes_does(count):
    weight, _, _ = make(1, 1000, 4096)
    columns = torch.randperm(4096, device="cuda")[:count]
    found = FusedProducts(TILES[0]).columns(weight, columns)
    expected = PlainProducts(torch.float16).columns(weight, columns)
    assert torch.equal(found, expected)
    assert found.stride() == expected.stride()


@pytest.mark.parametrize("width", [64, 576, 2048, 14_336])
@pytest.mark.parametrize("has_bias", [False, True])
def test_kernels_of_our_own_multiply_here(width, has_bias):
    weight, _, _ = make(1, 64, width, has_bias=has_bias)
    assert isinstance(products_for(weight, torch.float16, 4096), FusedProducts)


def test_what_they_are_not_made_for_is_left_to_bitsandbytes():
    uneven, _, _ = make(1, 64, 72)
    assert isinstance(products_for(uneven, torch.float16, 4096), PlainProducts)
    weight, _, _ = make(1, 64, 128)
    assert isinstance(products_for(weight, torch.bfloat16, 4096), PlainProducts)
    assert isinstance(products_for(weight, torch.float16, 32), PlainProducts)

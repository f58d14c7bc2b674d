"""Which products LLM.int8 takes: kernels of our own only where a trial finds the same bits."""

from __future__ import annotations

import bitsandbytes  # noqa: F401 - registers the operators
import pytest
import torch

from pytest_quantcheck.measure.engine.llm_int8 import products
from pytest_quantcheck.measure.engine.llm_int8.products import (
    TILES,
    FusedProducts,
    PlainProducts,
    Weight,
    products_for,
)

CPU = torch.device("cpu")
PLAIN = PlainProducts(torch.float16)


@pytest.fixture
def kernels(monkeypatch):
    """Return what kernels do to the right product, by their tiles: nothing at first."""
    changes = dict.fromkeys(TILES, lambda product: product)
    monkeypatch.setattr(
        FusedProducts,
        "product",
        lambda self, codes, scales, weight: changes[self._tile](
            PLAIN.product(codes, scales, weight)
        ),
    )
    monkeypatch.setattr(FusedProducts, "columns", lambda _, *given: PLAIN.columns(*given))
    products.fused_products.cache_clear()
    yield changes
    products.fused_products.cache_clear()


def tile_taken():
    found = products.fused_products(CPU, 0, has_bias=False)
    return found and found._tile


def fail(_):
    raise RuntimeError("out of shared memory")


@pytest.mark.usefixtures("kernels")
def test_the_first_tile_that_gives_the_same_bits_is_taken():
    assert tile_taken() == TILES[0]


@pytest.mark.parametrize("change", [fail, lambda product: product + 0.125, torch.zeros_like])
def test_a_tile_that_does_not_run_or_differs_leaves_the_next_one(kernels, change):
    kernels[TILES[0]] = change
    assert tile_taken() == TILES[1]


def test_without_a_tile_bitsandbytes_multiplies(kernels):
    kernels.update(dict.fromkeys(TILES, fail))
    assert tile_taken() is None


@pytest.mark.usefixtures("kernels")
def test_columns_that_differ_are_seen_too(monkeypatch):
    monkeypatch.setattr(FusedProducts, "columns", lambda _, *given: PLAIN.columns(*given) + 1)
    assert tile_taken() is None


def test_a_lack_of_memory_is_no_answer(kernels):
    def run_out(_):
        raise torch.OutOfMemoryError

    kernels[TILES[0]] = run_out
    with pytest.raises(torch.OutOfMemoryError):
        tile_taken()


def test_a_cpu_has_the_products_of_bitsandbytes():
    weight = Weight(codes=torch.ones((8, 64), dtype=torch.int8), scales=torch.ones(8), bias=None)
    assert isinstance(products_for(weight, torch.float16, 4096), PlainProducts)


@pytest.mark.parametrize("has_bias", [False, True])
def test_a_product_is_that_of_the_dequantized_weight(has_bias):
    weight, codes, scales = products._trial(CPU, 16, has_bias=has_bias)
    every = torch.arange(codes.shape[1])
    wide = PlainProducts(torch.float32)
    expected = (codes * scales[:, None] / 127) @ wide.columns(weight, every)
    if has_bias:
        expected += weight.bias
    torch.testing.assert_close(wide.product(codes, scales, weight), expected, rtol=3e-3, atol=0.5)

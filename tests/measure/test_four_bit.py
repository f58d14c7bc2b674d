"""Layers in 4 bits: which are replaced, for which inputs, and only where nothing differs."""

from __future__ import annotations

import pytest
import torch
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn import Linear4bit

from pytest_quantcheck.measure.engine.kernels import four_bit
from pytest_quantcheck.measure.engine.kernels.four_bit import FourBitLayers

DTYPE = torch.float16
WIDTH, OUTPUTS = 128, 48
ENOUGH = four_bit._FEWEST_ROWS


def make_layer(outputs=OUTPUTS, width=WIDTH, *, is_nested=False, blocksize=64, **settings):
    given = {"compute_dtype": DTYPE, "quant_type": "nf4", "bias": True} | settings
    layer = Linear4bit(width, outputs, compress_statistics=is_nested, **given)
    layer.support_avx512bf16_for_cpu = False  # else its codes would be stored otherwise
    layer.weight.blocksize = blocksize
    return layer.to(DTYPE).to("cpu").requires_grad_(requires_grad=False)


def found_in(*layers):
    return FourBitLayers(torch.nn.ModuleList(layers))


def rows(count, dtype=DTYPE):
    return torch.randn((1, count, WIDTH)).to(dtype)


@pytest.fixture
def asked(monkeypatch):
    """Return the codes that were dequantized; bitsandbytes stands for the kernel."""
    calls = []

    def stand_in(codes, state):
        calls.append(codes)
        return dequantize_4bit(codes, state)

    monkeypatch.setattr(four_bit, "dequantized", stand_in)
    return calls


@pytest.mark.parametrize("is_nested", [False, True])
@pytest.mark.parametrize("quant_type", ["nf4", "fp4"])
@pytest.mark.parametrize("bias", [False, True])
def test_many_rows_are_multiplied_with_the_same_bits(asked, quant_type, is_nested, bias):
    layer = make_layer(is_nested=is_nested, quant_type=quant_type, bias=bias)
    layers = found_in(layer)
    assert list(layers) == [layer]
    inputs = rows(ENOUGH)
    expected = layer(inputs)
    asked.clear()
    with layers.installed():
        assert torch.equal(layer(inputs), expected)
    assert len(asked) == 1
    assert "forward" not in vars(layer)


@pytest.mark.parametrize(("count", "dtype"), [(ENOUGH - 1, DTYPE), (ENOUGH, torch.float32)])
def test_few_rows_and_other_dtypes_go_the_usual_way(asked, count, dtype):
    layer, inputs = make_layer(), rows(count, dtype)
    layers, expected = found_in(layer), layer(inputs)
    asked.clear()
    with layers.installed():
        found = layer(inputs)
    assert asked == []
    assert found.dtype == dtype
    assert torch.equal(found, expected)


def test_layers_alike_are_tried_once(asked):
    layers = [make_layer(), make_layer(), make_layer(outputs=64)]
    assert list(found_in(*layers)) == layers
    tried = [layers[0].weight, layers[2].weight]
    assert {id(codes) for codes in asked} == {id(codes) for codes in tried}


@pytest.mark.parametrize(
    "layer",
    [
        Linear4bit(WIDTH, OUTPUTS, compute_dtype=DTYPE),
        make_layer(compute_dtype=torch.float32),
        make_layer(compute_dtype=torch.bfloat16),
        make_layer(compute_dtype=None),
        make_layer(quant_storage=torch.bfloat16),
        make_layer(blocksize=32),
        make_layer(outputs=3, width=10),
        torch.nn.Linear(WIDTH, OUTPUTS, dtype=DTYPE),
    ],
    ids=["unquantized", "float32", "mixed", "undecided", "storage", "blocks", "odd", "plain"],
)
def test_what_is_stored_or_computed_otherwise_stays(asked, layer):
    assert len(found_in(layer)) == 0
    assert asked == []


def test_a_bias_in_another_dtype_stays(asked):
    layer = make_layer()
    layer.bias.data = layer.bias.data.float()
    assert len(found_in(layer)) == 0
    assert asked == []


def test_nothing_is_replaced_where_the_kernel_does_not_run():
    assert len(found_in(make_layer())) == 0  # no Triton, or no GPU


def test_a_weight_that_differs_leaves_the_layers_own(monkeypatch):
    monkeypatch.setattr(
        four_bit, "dequantized", lambda codes, state: dequantize_4bit(codes, state) * 1.01
    )
    assert len(found_in(make_layer())) == 0


@pytest.mark.usefixtures("asked")
def test_a_product_that_differs_leaves_the_layers_own(monkeypatch):
    own = Linear4bit.forward
    monkeypatch.setattr(Linear4bit, "forward", lambda layer, inputs: own(layer, inputs) * 1.01)
    assert len(found_in(make_layer())) == 0


def test_a_lack_of_memory_is_no_answer(monkeypatch):
    def run_out(*_):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(four_bit, "dequantized", run_out)
    with pytest.raises(torch.OutOfMemoryError):
        found_in(make_layer())

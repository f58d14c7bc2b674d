"""Layers in 4 bits: weights, outputs and states of packs are those of bitsandbytes, to the bit."""

from __future__ import annotations

import pytest
import torch
import trees
from bitsandbytes.functional import dequantize_4bit, quantize_4bit
from bitsandbytes.nn import Linear4bit

from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.measure.engine.kernels.four_bit import FourBitLayers, dequantized
from pytest_quantcheck.measure.engine.undisturbed import undisturbed

pytestmark = pytest.mark.gpu
DTYPES = [torch.float16, torch.bfloat16]
QUANT_TYPES = ["nf4", "fp4"]


def random(*shape, dtype):
    generator = torch.Generator("cuda").manual_seed(0)
    return torch.randn(shape, generator=generator, device="cuda").to(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("quant_type", QUANT_TYPES)
@pytest.mark.parametrize("blocksize", [64, 128, 4096])
@pytest.mark.parametrize("is_nested", [False, True])
def test_weights_are_dequantized_as_bitsandbytes_does(dtype, quant_type, blocksize, is_nested):
    for shape in ((40, 24), (33, 136), (576, 576), (1000, 1536), (1024, 4096), (4096, 14_336)):
        weight = random(*shape, dtype=dtype) * 0.02
        weight[0, :2] = torch.tensor([0.0, -1e-5])
        codes, state = quantize_4bit(
            weight, blocksize=blocksize, quant_type=quant_type, compress_statistics=is_nested
        )
        assert torch.equal(dequantized(codes, state), dequantize_4bit(codes, state))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("quant_type", QUANT_TYPES)
@pytest.mark.parametrize("is_nested", [False, True])
@pytest.mark.parametrize("has_bias", [False, True])
@torch.inference_mode()
def test_outputs_are_those_of_bitsandbytes(dtype, quant_type, is_nested, has_bias):
    for outputs, width in ((192, 576), (1000, 1536), (4096, 2048)):
        layer = Linear4bit(
            width,
            outputs,
            bias=has_bias,
            compute_dtype=dtype,
            compress_statistics=is_nested,
            quant_type=quant_type,
        )
        layer = layer.to(dtype).to("cuda").eval()
        layers = FourBitLayers(torch.nn.ModuleList([layer]))
        assert list(layers) == [layer]
        for rows in (1, 64, 513, 1536, 1537, 5000):
            inputs = random(1, rows, width, dtype=dtype)
            expected = layer(inputs)
            with layers.installed():
                assert torch.equal(layer(inputs), expected)


def kernel_names(function):
    on_device = [torch.profiler.ProfilerActivity.CUDA]
    # The profiler warns of what it does with later cycles.
    with undisturbed(), torch.profiler.profile(activities=on_device) as found:
        function()
        torch.cuda.synchronize()
    return " ".join(one.name for one in found.events())


@pytest.mark.parametrize("name", QUANT_TYPES)
def test_packs_have_the_same_states_without_the_kernel_of_bitsandbytes(checkpoint, pool, name):
    loaded = pool(checkpoint("llama")).get(builtin_variant(name))
    pack = trees.one_pack(trees.few_shot(questions=40, options=4))
    assert len(pack.tokens) > 600
    with torch.inference_mode():
        forward = loaded._chosen().forward
        (layers,) = [one for one in forward.fused if isinstance(one, FourBitLayers)]
        assert len(layers) == 7 * loaded.model.config.num_hidden_layers
        with forward.ready():
            found = forward.states(pack)
            assert "kDequantizeBlockwise" not in kernel_names(lambda: forward.states(pack))
        forward.fused.remove(layers)
        with forward.ready():
            assert torch.equal(forward.states(pack), found)
            assert "kDequantizeBlockwise" in kernel_names(lambda: forward.states(pack))
    assert not any("forward" in vars(one) for one in layers)

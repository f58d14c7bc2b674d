"""Kernels of our own against the arithmetic of models, to the bit, on the device they are for."""

from __future__ import annotations

import pytest
import tiny_models
import torch
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from pytest_quantcheck.measure.engine.kernels.gates import FusedGates, gated
from pytest_quantcheck.measure.engine.kernels.rotations import FusedRotations, rotated

pytestmark = pytest.mark.gpu
DTYPES = [torch.float16, torch.bfloat16]


def random(*shape, dtype, scale=1.0):
    generator = torch.Generator(device="cuda").manual_seed(0)
    return (torch.randn(shape, generator=generator, device="cuda") * scale).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0, 3e4])
def test_gates_are_those_of_torch(dtype, scale):
    gate, up = random(2, 1, 777, 1000, dtype=dtype, scale=scale)
    gate[0, 0, :4] = torch.tensor([torch.inf, -torch.inf, torch.nan, -0.0])
    expected = torch.nn.functional.silu(gate) * up
    found = gated(gate, up)
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("heads", "width"), [(32, 128), (9, 64), (1, 96), (71, 80)])
def test_rotations_are_those_of_transformers(dtype, heads, width):
    inputs = random(1, 333, heads, width, dtype=dtype).transpose(1, 2)
    cos, sin = random(2, 1, 333, width, dtype=dtype)
    expected = apply_rotary_pos_emb(inputs, inputs, cos, sin)[0]
    assert torch.equal(rotated(inputs, cos, sin), expected)


@pytest.mark.parametrize("kind", ["llama", "qwen3"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_all_layers_of_models_are_found(kind, dtype):
    model = tiny_models.make_model(kind, dtype=dtype).cuda().eval()
    assert len(FusedGates(model)) == model.config.num_hidden_layers
    assert len(FusedRotations(model)) == 1

"""What one kernel computes for several is used only where it gives the same, and put back."""

from __future__ import annotations

import sys

import pytest
import tiny_models
import torch
import transformers

from pytest_quantcheck.measure.engine.attention import TreeAttention
from pytest_quantcheck.measure.engine.kernels import gates, rotations
from pytest_quantcheck.measure.engine.kernels.gates import FusedGates
from pytest_quantcheck.measure.engine.kernels.rotations import FusedRotations
from pytest_quantcheck.measure.engine.tree import PackForward


def gated_exactly(gate, up):
    """Stand for the kernel, in the place of the first as that does it."""
    return gate.copy_(torch.nn.functional.silu(gate) * up)


def rotated_exactly(inputs, cosines, sines):
    low, high = inputs.chunk(2, dim=-1)
    turned = torch.cat((-high, low), dim=-1)
    return inputs * cosines[:, None] + turned * sines[:, None]


def nearly(kernel):
    return lambda *args: kernel(*args) * 1.01


@pytest.fixture
def llama():
    return tiny_models.make_model("llama").to(torch.bfloat16).eval()


@pytest.fixture
def kernels(monkeypatch):
    """Arithmetic that is right stands for the kernels, which only a GPU runs."""
    monkeypatch.setattr(gates, "gated", gated_exactly)
    monkeypatch.setattr(rotations, "rotated", rotated_exactly)


@pytest.mark.usefixtures("kernels")
def test_scores_are_the_same_and_everything_is_put_back(llama):
    own = transformers.models.llama.modeling_llama.apply_rotary_pos_emb
    inputs = torch.arange(4, 30)[None]
    with torch.inference_mode():
        expected = llama(input_ids=inputs).logits
    found_gates, found_rotations = FusedGates(llama), FusedRotations(llama)
    assert (len(found_gates), len(found_rotations)) == (llama.config.num_hidden_layers, 1)

    with torch.inference_mode(), found_gates.installed(), found_rotations.installed():
        assert transformers.models.llama.modeling_llama.apply_rotary_pos_emb is not own
        assert all("forward" in vars(layer.mlp) for layer in llama.model.layers)
        assert torch.equal(llama(input_ids=inputs).logits, expected)

    assert transformers.models.llama.modeling_llama.apply_rotary_pos_emb is own
    assert not any("forward" in vars(one) for one in llama.modules())


@pytest.mark.parametrize("found", [FusedGates, FusedRotations])
def test_nothing_is_replaced_where_the_kernel_does_not_run(llama, found):
    assert len(found(llama)) == 0  # no Triton, or no GPU


def test_nothing_is_replaced_where_a_value_differs(llama, monkeypatch):
    monkeypatch.setattr(gates, "gated", nearly(gated_exactly))
    monkeypatch.setattr(rotations, "rotated", nearly(rotated_exactly))
    assert (len(FusedGates(llama)), len(FusedRotations(llama))) == (0, 0)


@pytest.mark.usefixtures("kernels")
def test_another_activation_is_not_taken_for_silu():
    gemma = tiny_models.make_model("gemma2").to(torch.bfloat16).eval()
    assert len(FusedGates(gemma)) == 0


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("change", ["float32", "two rows", "other place", "odd"])
def test_what_the_kernel_is_not_made_for_goes_to_the_models_own(change, monkeypatch):
    asked = []
    monkeypatch.setattr(rotations, "rotated", lambda *args: asked.append(args))
    fused = rotations._fused
    batch, width = (2 if change == "two rows" else 1), (7 if change == "odd" else 8)
    q, k = torch.ones(batch, 4, 6, width).bfloat16(), torch.ones(batch, 2, 6, width).bfloat16()
    cos = sin = torch.ones(batch, 6, width).bfloat16()
    if change == "float32":
        cos = sin = cos.float()
    places = (1,) if change == "other place" else ()

    assert fused(lambda *args: args, q, k, cos, sin, *places) == (q, k, cos, sin, *places)
    assert asked == []


@pytest.mark.usefixtures("kernels")
def test_an_error_in_between_leaves_nothing_behind(llama):
    forward = PackForward(None, TreeAttention(llama, None), "cpu", longest=None)
    assert forward.fused == []  # on a CPU
    forward.fused = [FusedGates(llama), FusedRotations(llama)]
    modeling = sys.modules[type(llama).__module__]
    own = modeling.apply_rotary_pos_emb

    seen = []

    def fail():
        seen.append(modeling.apply_rotary_pos_emb)
        raise RuntimeError("in between")

    with pytest.raises(RuntimeError, match="in between"), forward.ready():
        fail()

    assert seen != [own]
    assert modeling.apply_rotary_pos_emb is own
    assert not any("forward" in vars(one) for one in llama.modules())

"""RMSNorm to the bit: only what rounds as the kernels do, only where they run."""

from __future__ import annotations

import pytest
import tiny_models
import torch
from transformers.models.gemma.modeling_gemma import GemmaRMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from transformers.models.olmo2.modeling_olmo2 import Olmo2RMSNorm

from pytest_quantcheck.measure.engine.kernels import exact_norms
from pytest_quantcheck.measure.engine.kernels.exact_norms import ExactNorms

DTYPES = [torch.float16, torch.bfloat16]


def normed_exactly(inputs, weight, epsilon):
    """Stand for the kernels, rounding where they do."""
    wide = inputs.float()
    scale = torch.rsqrt((wide * wide).mean(-1, keepdim=True) + epsilon)
    return (wide * scale).to(inputs.dtype) * weight


@pytest.fixture
def kernels(monkeypatch):
    """Arithmetic that is right stands for the kernels, which only a GPU runs."""
    monkeypatch.setattr(exact_norms, "normed", normed_exactly)


def found_in(*modules, dtype=torch.float16):
    return ExactNorms(torch.nn.ModuleList(modules).to(dtype))


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_logits_are_the_same_and_everything_is_put_back(dtype):
    model = tiny_models.make_model("qwen3").to(dtype).eval()
    inputs = torch.arange(4, 30)[None]
    exact = ExactNorms(model)
    assert len(exact) == 1 + 4 * model.config.num_hidden_layers  # queries and keys have theirs
    with torch.inference_mode():
        expected = model(input_ids=inputs).logits
        with exact.installed():
            assert "forward" in vars(model.model.norm)
            assert torch.equal(model(input_ids=inputs).logits, expected)
    assert not any("forward" in vars(one) for one in model.modules())


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", [Olmo2RMSNorm, GemmaRMSNorm, torch.nn.RMSNorm])
def test_what_rounds_otherwise_stays(kind, dtype):
    norm = kind(64, eps=1e-6)
    torch.nn.init.ones_(norm.weight)  # of which most give the same whenever they are multiplied
    assert len(found_in(norm, dtype=dtype)) == 0


@pytest.mark.usefixtures("kernels")
def test_a_trial_leaves_the_weight_and_the_random_numbers_of_others():
    norm = LlamaRMSNorm(64)
    state = torch.get_rng_state()
    assert len(found_in(norm)) == 1
    assert torch.equal(norm.weight, torch.ones(64).half())
    assert torch.equal(torch.get_rng_state(), state)


def test_nothing_is_replaced_where_the_kernels_do_not_run():
    assert len(found_in(LlamaRMSNorm(64))) == 0  # no Triton, or no GPU


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("change", ["turned", "float32"])
def test_what_the_kernels_are_not_made_for_goes_the_usual_way(change, monkeypatch):
    norm = LlamaRMSNorm(64)
    exact = found_in(norm)
    assert len(exact) == 1
    monkeypatch.setattr(exact_norms, "normed", pytest.fail)
    inputs = torch.randn(64, 64).half()
    inputs = inputs.T if change == "turned" else inputs.float()
    expected = norm(inputs)
    with exact.installed():
        assert torch.equal(norm(inputs), expected)

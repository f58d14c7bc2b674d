"""RMSNorm on a GPU: fewer kernels, the model's own values, nothing left behind."""

from __future__ import annotations

import pytest
import torch
import trees
from torch.autograd import DeviceType
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.measure.engine.kernels.exact_norms import ExactNorms, normed
from pytest_quantcheck.measure.engine.kernels.norms import FusedNorms
from pytest_quantcheck.measure.engine.undisturbed import undisturbed

pytestmark = pytest.mark.gpu
DTYPES = [torch.float16, torch.bfloat16]


def find_norms(loaded, kind):
    return next((one for one in loaded._chosen().forward.fused if isinstance(one, kind)), None)


def kernels(function, *inputs):
    """Return how many kernels a call launches."""
    function(*inputs)
    on_device = [torch.profiler.ProfilerActivity.CUDA]
    # The profiler warns of what it does with later cycles.
    with undisturbed(), torch.profiler.profile(activities=on_device) as found:
        function(*inputs)
        torch.cuda.synchronize()
    return sum(one.device_type == DeviceType.CUDA for one in found.events())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [64, 576, 2048, 4096])
@torch.inference_mode()
def test_norms_are_found_and_take_one_kernel(size, dtype):
    norm = LlamaRMSNorm(size, eps=1e-5).to("cuda", dtype)
    norm.weight.uniform_(0.1, 2)
    inputs = torch.randn((1, 4096, size), device="cuda", dtype=dtype)
    fused = FusedNorms(torch.nn.ModuleList([norm]))
    assert len(fused) == 1
    usual, expected = kernels(norm, inputs), norm(inputs)
    with fused.installed():
        own, found = kernels(norm, inputs), norm(inputs)
    assert own == 1 < usual
    steps = (expected.float().abs() * torch.finfo(dtype).eps).clamp_min(torch.finfo(dtype).tiny)
    assert bool(((found.float() - expected.float()).abs() <= steps).all())


@pytest.mark.parametrize("name", ["fp16", "nf4"])
def test_packs_use_them_and_the_model_stays_as_it_was(checkpoint, pool, name):
    loaded = pool(checkpoint("llama")).get(builtin_variant(name))
    with torch.inference_mode():
        norms = find_norms(loaded, FusedNorms)
    assert len(norms) == 1 + 2 * loaded.model.config.num_hidden_layers
    assert not any("forward" in vars(one) for one in norms)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [128, 576, 1000, 2048, 4096, 5120])
@torch.inference_mode()
def test_exact_norms_are_the_models_own_to_the_bit_in_three_kernels(size, dtype):
    norm = LlamaRMSNorm(size, eps=1e-5).to("cuda", dtype)
    norm.weight.uniform_(0.1, 2)
    scales = torch.tensor([1e-4, 0.01, 1.0, 100.0], device="cuda").repeat(500)
    exact = ExactNorms(torch.nn.ModuleList([norm]))
    assert len(exact) == 1
    for rows in (1, 7, 2000):
        random = torch.randn((1, rows, size), device="cuda")
        inputs = (random * scales[:rows, None]).to(dtype)
        expected = norm(inputs)
        with exact.installed():
            assert torch.equal(norm(inputs), expected)
    usual = kernels(norm, inputs)
    with exact.installed():
        assert kernels(norm, inputs) == 3 < usual


def test_zeros_outliers_and_what_is_not_finite_are_as_usual():
    norm = LlamaRMSNorm(4096, eps=1e-6).to("cuda", torch.float16)
    inputs = torch.zeros((5, 4096), device="cuda", dtype=torch.float16)
    inputs[1:, :4] = torch.tensor([[6e4, -6e4, 1.0, 6e-8]], device="cuda")
    inputs[3, 9], inputs[4, 9] = torch.inf, torch.nan
    found = normed(inputs, norm.weight.detach(), 1e-6)
    torch.testing.assert_close(found, norm(inputs).detach(), rtol=0, atol=0, equal_nan=True)


def test_packs_of_llm_int8_have_the_same_states_with_fewer_kernels(checkpoint, pool):
    loaded = pool(checkpoint("llama")).get(builtin_variant("int8"))
    with torch.inference_mode():
        forward = loaded._chosen().forward
        exact = find_norms(loaded, ExactNorms)
        assert len(exact) == 1 + 2 * loaded.model.config.num_hidden_layers
        assert find_norms(loaded, FusedNorms) is None
        for norm in exact:
            norm.weight.data.uniform_(0.5, 1.5)
        pack = trees.one_pack(trees.few_shot())
        with forward.ready():
            found = forward.states(pack)
        forward.fused.remove(exact)
        with forward.ready():
            assert torch.equal(forward.states(pack), found)
    assert not any("forward" in vars(one) for one in exact)

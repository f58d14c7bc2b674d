"""RMSNorm on a GPU: one kernel, the model's own values, nothing left behind."""

from __future__ import annotations

import pytest
import torch
from torch.autograd import DeviceType
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.measure.engine.kernels.norms import FusedNorms
from pytest_quantcheck.measure.engine.undisturbed import undisturbed

pytestmark = pytest.mark.gpu


def find_norms(loaded):
    fused = loaded._chosen().forward.fused
    return next((one for one in fused if isinstance(one, FusedNorms)), None)


def kernels(function, *inputs):
    """Return how many kernels a call launches."""
    function(*inputs)
    on_device = [torch.profiler.ProfilerActivity.CUDA]
    # The profiler warns of what it does with later cycles.
    with undisturbed(), torch.profiler.profile(activities=on_device) as found:
        function(*inputs)
        torch.cuda.synchronize()
    return sum(one.device_type == DeviceType.CUDA for one in found.events())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
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
        norms = find_norms(loaded)
    assert len(norms) == 1 + 2 * loaded.model.config.num_hidden_layers
    assert not any("forward" in vars(one) for one in norms)


def test_llm_int8_keeps_the_models_own(checkpoint, pool):
    loaded = pool(checkpoint("llama")).get(builtin_variant("int8"))
    with torch.inference_mode():
        assert find_norms(loaded) is None

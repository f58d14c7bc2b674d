"""RMSNorm by torch's own kernel: only what is one, only while it is asked."""

from __future__ import annotations

import pytest
import tiny_models
import torch
import transformers
from transformers.models.gemma.modeling_gemma import GemmaRMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from pytest_quantcheck.measure.engine.attention import TreeAttention
from pytest_quantcheck.measure.engine.kernels import norms
from pytest_quantcheck.measure.engine.kernels.norms import FusedNorms
from pytest_quantcheck.measure.engine.tree import PackForward

DTYPES = [torch.float16, torch.bfloat16]


def with_random_weights(module, dtype=torch.bfloat16):
    generator = torch.Generator().manual_seed(1)
    for weight in module.parameters():
        weight.data = torch.rand(weight.shape, generator=generator) * 2
    return module.to(dtype)


class LayerNorm(torch.nn.LayerNorm):
    """Without a bias: it subtracts the mean, and an RMSNorm does not."""

    def __init__(self):
        super().__init__(64, bias=False)


class OtherEpsilon(LlamaRMSNorm):
    """Says another epsilon than it uses."""

    def forward(self, inputs):
        square = inputs.float().pow(2).mean(-1, keepdim=True)
        return self.weight * (inputs.float() * torch.rsqrt(square + 1e-4)).to(inputs.dtype)


class Gated(LlamaRMSNorm):
    """Takes more than its inputs."""

    def forward(self, inputs, gate=None):
        found = super().forward(inputs)
        return found if gate is None else found * gate


class Narrower(LlamaRMSNorm):
    """Returns something else than its inputs' shape."""

    def forward(self, inputs):
        return super().forward(inputs)[..., :1]


def model_of(*modules):
    return torch.nn.ModuleList(modules)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("size", [64, 128, 576])
def test_the_kernel_gives_what_the_model_gives_to_a_unit_in_the_last_place(size, dtype):
    norm = with_random_weights(LlamaRMSNorm(size, eps=1e-5), dtype)
    fused = FusedNorms(model_of(norm))
    assert len(fused) == 1

    inputs = torch.randn((3, 50, size), generator=torch.Generator().manual_seed(2)).to(dtype) * 4
    expected = norm(inputs)
    with fused.installed():
        found = norm(inputs)
    apart = (norms._units(found) - norms._units(expected)).abs()
    assert found.dtype == dtype
    assert int(apart.max()) <= 1
    exact = norm.weight.double() * (
        inputs.double() / (inputs.double().square().mean(-1, keepdim=True) + 1e-5).sqrt()
    )
    errors = [(one.double() - exact).square().mean() for one in (found, expected)]
    assert errors[0] < errors[1]  # rounded once instead of twice
    assert torch.equal(norm(inputs), expected)
    assert "forward" not in vars(norm)


@pytest.mark.parametrize(
    "norm",
    [
        LayerNorm(),
        torch.nn.LayerNorm(64),
        OtherEpsilon(64, eps=1e-6),
        Gated(64),
        Narrower(64),
        GemmaRMSNorm(64),  # multiplies by one more than its weight
        torch.nn.Linear(1, 64, bias=False),
    ],
    ids=lambda norm: type(norm).__name__,
)
def test_what_is_no_plain_rms_norm_stays(norm):
    assert len(FusedNorms(model_of(with_random_weights(norm)))) == 0


def test_one_of_each_kind_is_tried(monkeypatch):
    tried = []
    is_same = norms._is_same
    monkeypatch.setattr(
        norms, "_is_same", lambda one, generator: tried.append(one) or is_same(one, generator)
    )
    alike = [with_random_weights(LlamaRMSNorm(64)) for _ in range(3)]
    others = [LlamaRMSNorm(64, eps=1e-3), LlamaRMSNorm(32), OtherEpsilon(64)]
    found = FusedNorms(model_of(*alike, *map(with_random_weights, others)))

    assert tried == [alike[0], *others]
    assert [*found] == [*alike, *others[:2]]


def test_float32_and_what_was_replaced_before_stay():
    assert len(FusedNorms(model_of(LlamaRMSNorm(64)))) == 0
    wrapped = with_random_weights(LlamaRMSNorm(64))
    wrapped.forward = wrapped.forward
    assert len(FusedNorms(model_of(wrapped))) == 0


def test_inputs_of_another_dtype_go_the_usual_way():
    norm = with_random_weights(LlamaRMSNorm(64))
    inputs = torch.linspace(-1, 1, 128).view(2, 64)
    expected = norm(inputs)
    with FusedNorms(model_of(norm)).installed():
        assert torch.equal(norm(inputs), expected)


def test_units_in_the_last_place_are_counted_through_zero():
    values = torch.tensor([-(2.0**-24), -0.0, 0.0, 2.0**-24, 1.0, 1.0 + 2.0**-10])
    units = norms._units(values.to(torch.float16)).tolist()
    assert units[:4] == [-1, 0, 0, 1]
    assert units[5] - units[4] == 1


@pytest.fixture
def llama():
    return tiny_models.make_model("llama").to(torch.bfloat16).eval()


def test_norms_are_replaced_only_while_packs_are_forwarded(llama):
    forward = PackForward(None, TreeAttention(llama, None), "cpu", longest=None)
    assert forward.fused == []  # on a CPU

    norms = FusedNorms(llama)
    forward.fused = [norms]
    kinds = [type(one).__name__ for one in llama.modules()]
    assert len(norms) == sum(kind.endswith("RMSNorm") for kind in kinds) > 0
    seen = []

    def fail():
        seen.append("forward" in vars(llama.model.norm))
        raise RuntimeError("in between")

    with pytest.raises(RuntimeError, match="in between"), forward.ready():
        fail()
    assert seen == [True]
    assert not any("forward" in vars(one) for one in llama.modules())


def test_random_numbers_of_others_are_left_alone(llama):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    FusedNorms(llama)
    assert torch.equal(torch.rand(2), expected)


def test_a_model_without_any_is_left_alone():
    config = transformers.GPT2Config(n_embd=32, n_head=2, n_layer=1, vocab_size=80)
    assert len(FusedNorms(transformers.GPT2LMHeadModel(config).to(torch.bfloat16))) == 0

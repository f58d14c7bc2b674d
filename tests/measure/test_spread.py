"""A model whose layers are on several devices: hooks of accelerate on one CPU stand for them."""

from dataclasses import replace

import fake_model
import numpy as np
import pytest
import torch
import transformers
from accelerate.hooks import AlignDevicesHook, add_hook_to_module
from fake_model import INT4, REFERENCE

from pytest_quantcheck.core.protocols import BackendSpec
from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.measure.backends import loading
from pytest_quantcheck.measure.engine.spread import n_devices
from pytest_quantcheck.measure.latency.protocols import Shape
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.protocols import ModelSource, ScoreRequest
from pytest_quantcheck.workloads.decoding import Decoding

REQUESTS = [
    ScoreRequest(tokens=tuple(range(4, 4 + n)), first_target=n // 2) for n in (30, 17, 17, 8)
]
PROMPTS = [list(range(5, 5 + n)) for n in (6, 11, 11)]


@pytest.fixture
def both(load, checkpoint, specs):
    """The same tiny model on one device, and as accelerate dispatches it."""
    pool = Pool(specs, checkpoint("llama"), 0.9)
    spread = pool.get(builtin_variant("fp16"))
    model = spread.model
    for layer in (model.model.embed_tokens, *model.model.layers, model.model.norm, model.lm_head):
        add_hook_to_module(layer, AlignDevicesHook("cpu"))
    add_hook_to_module(model, AlignDevicesHook("cpu", io_same_device=True), append=True)
    model.hf_device_map = {"model.embed_tokens": 0, "model.layers.0": 0, "lm_head": 1}
    yield load("llama", "fp16"), spread
    pool.close()


def test_a_spread_model_is_used_through_its_own_forward(both):
    whole, spread = both
    assert (n_devices(whole.model), n_devices(spread.model)) == (1, 2)
    for found, expected in zip(spread.score(REQUESTS), whole.score(REQUESTS), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)
    assert spread.plan == "batches of equal length (spread over 2 devices)"
    decoding = Decoding(max_new_tokens=8)
    assert spread.generate(PROMPTS, decoding) == whole.generate(PROMPTS, decoding)
    assert spread.generation_plan != whole.generation_plan


def test_predictions_of_a_spread_model_are_those_of_the_whole(both):
    whole, spread = both
    found = whole.predictions(REQUESTS).divergences(spread.predictions(REQUESTS))
    assert max(one.kl.max() for one in found) < 1e-6


def test_a_spread_model_is_served_in_eager_mode_only(both):
    _, spread = both
    shape = Shape(prompts=(tuple(range(5, 13)),), new_tokens=4, mode="compiled")
    server = spread.server(shape)
    assert server.mode == "eager"
    assert server.fallback
    assert server.run().device_seconds is None
    server.close()


class Recording(fake_model.FakeBackend):
    """A backend that remembers what it was told to spread."""

    def __init__(self, told):
        self.told = told

    def load(self, variant, source):
        self.told.append((variant.name, source.is_spread))
        return super().load(variant, source)


@pytest.mark.parametrize("others", [(), ("cuda:1",)])
def test_only_what_has_no_room_on_one_gpu_is_spread(monkeypatch, others):
    told = []
    monkeypatch.setattr(fake_model, "FakeRecording", lambda: Recording(told), raising=False)
    fake_model.SIZES.update({"fp16": 700, "int4": 200})
    source = ModelSource(model="/models/desk", device="cuda:0", others=others)
    backends = {"fake": BackendSpec(name="fake", target="fake_model:FakeRecording")}
    pool = Pool(backends, source, 0.5, free_bytes=lambda _: 1000)
    pool.get(REFERENCE)
    pool.get(INT4)
    assert told == [("fp16", bool(others)), ("int4", False)]


def test_inputs_go_to_the_device_that_the_model_begins_on(monkeypatch, checkpoint):
    """What has no room on one GPU may be placed on another altogether."""
    source = replace(checkpoint("llama"), is_spread=True)
    monkeypatch.setattr(loading, "model_class", lambda _: ElsewhereModel)
    opened = loading.open_checkpoint(builtin_variant("fp16"), source, dtype=torch.float16)
    assert (source.device, opened.device) == ("cpu", "meta")


class ElsewhereModel:
    """Loads as transformers does, and lies on a device that was not asked for."""

    @classmethod
    def from_pretrained(cls, *args, device_map, **options):
        assert device_map == "balanced"
        model, report = transformers.LlamaForCausalLM.from_pretrained(*args, **options)
        return model.to("meta"), report

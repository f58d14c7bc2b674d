"""A model over two GPUs gives what it gives on one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tiny_models
import torch
import transformers

from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.measure.latency.protocols import Shape
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.protocols import ModelSource, ScoreRequest
from pytest_quantcheck.workloads.decoding import Decoding

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs"),
]

LAYERS = 8
REQUESTS = [
    ScoreRequest(tokens=tuple(range(4, 4 + n)), first_target=n // 2) for n in (60, 31, 31, 9)
]
PROMPTS = [list(range(5, 5 + n)) for n in (6, 20, 20)]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    config = tiny_models.make_config("llama")
    config.num_hidden_layers = LAYERS
    config.layer_types = None
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        model = transformers.AutoModelForCausalLM.from_config(config).half().eval()
    folder = tiny_models.save(tmp_path_factory.mktemp("deep"), model)
    return ModelSource(model=str(folder), device="cuda:0")


@pytest.fixture
def both(source, specs):
    """Return what loads a variant whole, and spread as where it has no room on the first GPU."""
    whole = Pool(specs, source, 0.85)
    spread = Pool(specs, replace(source, others=("cuda:1",)), 0.85, free_bytes=lambda _: 1000)

    def load(name):
        variant = builtin_variant(name)
        return whole.get(variant), spread.get(variant)

    yield load
    for pool in (whole, spread):
        pool.close()


@pytest.mark.parametrize("name", ["fp16", "nf4", "int8"])
def test_a_model_over_two_gpus_scores_as_on_one(both, name):
    whole, spread = both(name)

    used = {parameter.device.index for parameter in spread.model.parameters()}
    # transformers may find that all of a quantized model has room on the second GPU.
    assert used == {0, 1} if name == "fp16" else used & {1}
    for found, expected in zip(spread.score(REQUESTS), whole.score(REQUESTS), strict=True):
        np.testing.assert_allclose(found, expected, atol=0.05)
    if len(used) > 1:
        assert spread.plan == "batches of equal length (spread over 2 devices)"
    assert spread.weights == whole.weights
    kept = whole.predictions(REQUESTS)
    assert all(one.kl.mean() < 1e-3 for one in kept.divergences(spread.predictions(REQUESTS)))


def test_a_model_over_two_gpus_generates_and_is_timed(both):
    whole, spread = both("fp16")
    decoding = Decoding(max_new_tokens=8)
    shape = Shape(prompts=(tuple(range(5, 25)),), new_tokens=4, mode="eager")

    found, expected = (one.generate(PROMPTS, decoding) for one in (spread, whole))

    same = [a.tokens[0] == b.tokens[0] for a, b in zip(found, expected, strict=True)]
    assert all(same)
    server = spread.server(shape)
    assert server.run().e2e_seconds > 0
    server.close()
    assert spread.memory_use(shape).peak_decode_bytes is None

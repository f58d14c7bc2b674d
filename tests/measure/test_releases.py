"""Releases of a model beside each other, quantized or not."""

from __future__ import annotations

from dataclasses import replace

import pytest
import tiny_checkpoints
import tiny_models
import torch

from pytest_quantcheck import Documents
from pytest_quantcheck.core.variant import AS_STORED, Variant, builtin_variant
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.protocols import ModelSource
from pytest_quantcheck.measure.runner import Runner

FP16 = builtin_variant("fp16")
MANUAL = Documents.from_examples([{"text": "the thing in the end"}], name="manual")


@pytest.fixture
def pool(checkpoint, specs):
    made = Pool(specs, checkpoint("llama"), 0.9)
    yield made
    made.close()


def test_an_earlier_release_is_a_variant_and_may_be_the_reference(pool, tmp_path):
    folder = tiny_models.save(tmp_path / "v1", tiny_models.make_model("llama", seed=3))
    release = replace(FP16, name="release-1", checkpoint=str(folder))
    runner = Runner(pool, reference=release)

    old, new = runner.measure(release, MANUAL), runner.measure(FP16, MANUAL)
    quantized = runner.measure(replace(builtin_variant("int8"), checkpoint=str(folder)), MANUAL)

    values = [m.scores["perplexity"].values[0] for m in (old, new, quantized)]
    assert abs(values[0] - values[1]) > 0.1
    assert 0 < abs(values[0] - values[2]) < 0.1
    assert release.label == "release-1 (fp16)"
    assert pool.weights(release).revision != pool.weights(FP16).revision


def test_two_releases_with_equal_weights_claim_nothing(checkpoint, pool):
    release = replace(FP16, name="release-1", checkpoint=checkpoint("llama").model)
    runner = Runner(pool, reference=FP16)

    assert runner.measure(release, MANUAL).scores["perplexity"].values.shape == (1,)


def test_a_checkpoint_whose_weights_equal_the_references_is_no_quantization(specs, tmp_path):
    model = tiny_models.make_model("llama")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2 and "layers" in name:
                parameter.copy_(parameter.sign() * 0.125)
    base = tiny_models.save(tmp_path / "base", model)
    folder = tiny_checkpoints.save_bitsandbytes(base, tmp_path / "own", load_in_8bit=True)
    own = Variant(name="own", precision=AS_STORED, backend="checkpoint", checkpoint=str(folder))
    runner = Runner(Pool(specs, ModelSource(model=str(base), device="cpu"), 0.9), reference=FP16)

    with pytest.raises(UsageError, match=r"own .* claims quantization, and all of its 14"):
        runner.measure(own, MANUAL)
    runner.close()

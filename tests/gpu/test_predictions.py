"""Predictions on a GPU: states kept on the host, compared on the device, and nothing left there."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import torch

from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.measure.protocols import ScoreRequest

pytestmark = pytest.mark.gpu

LENGTHS = (90, 64, 33, 9)
MEBIBYTE = 2**20


def requests():
    """Return sequences of different lengths."""
    rng = np.random.default_rng(0)
    return [
        ScoreRequest(tokens=tuple(rng.integers(4, 80, size=n).tolist()), first_target=n // 3)
        for n in LENGTHS
    ]


def naive(reference, variant, request):
    """Return KL of each scored token from all logits, in float64."""
    inputs = torch.tensor([request.tokens[:-1]], device="cuda:0")
    with torch.inference_mode():
        p, q = (
            one.model(inputs).logits[0, request.first_target - 1 :].double().log_softmax(-1)
            for one in (reference, variant)
        )
    return (p.exp() * (p - q)).sum(-1).cpu().numpy()


@pytest.mark.parametrize("kind", ["llama", "gemma2", "gpt2"])
@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_divergences_are_those_of_all_logits(checkpoint, pool, kind, precision):
    models = pool(checkpoint(kind))
    reference, variant = (models.get(builtin_variant(name)) for name in (precision, "nf4"))
    asked = requests()

    kept = reference.predictions(asked)
    found = kept.divergences(variant.predictions(asked))

    assert kept.states.dtype == {"fp16": "float16", "bf16": "bfloat16"}[precision]
    for request, one in zip(asked, found, strict=True):
        expected = naive(reference, variant, request)
        # Packs round 16-bit states as other kernels do.
        assert one.kl.mean() == pytest.approx(expected.mean(), rel=0.1)
    assert not any(one.kl.any() for one in kept.divergences(kept))


def test_a_kept_head_is_all_that_stays_of_a_model(checkpoint, pool):
    before = torch.cuda.memory_allocated()
    models = pool(checkpoint("llama"))
    reference, variant = (models.get(builtin_variant(name)) for name in ("fp16", "nf4"))
    kept = reference.predictions(requests())
    other = variant.predictions(requests())
    expected = [one.kl for one in kept.divergences(other)]
    models.close()
    found = [one.kl for one in kept.divergences(other)]
    for one, same in zip(found, expected, strict=True):
        assert np.array_equal(one, same)
    del kept, other, reference, variant
    gc.collect()
    assert torch.cuda.memory_allocated() - before < MEBIBYTE

"""Kept quantized weights score on a GPU as weights quantized anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.measure.backends.bitsandbytes import BitsandbytesBackend
from pytest_quantcheck.measure.backends.quantized_store import QuantizedStore
from pytest_quantcheck.measure.protocols import ScoreRequest

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("name", ["int8", "nf4", "fp4"])
def test_kept_weights_score_to_the_bit_as_weights_quantized_anew(checkpoint, tmp_path, name):
    source = checkpoint("llama")
    store = QuantizedStore(tmp_path, from_bytes=0, most_bytes=2**30)
    asked = [ScoreRequest(tokens=(1, 20, 30, 40, 50, 60), first_target=1)]
    found = []
    for where in (None, store, store):
        loaded = BitsandbytesBackend().load(builtin_variant(name), replace(source, quantized=where))
        found.append((loaded.weights, loaded.score(asked)[0]))
        loaded.close()
    assert [one for one, _ in found] == [found[0][0]] * 3
    np.testing.assert_array_equal([scores for _, scores in found], [found[0][1]] * 3)
    assert len(list(tmp_path.glob("*/model.safetensors"))) == 1
    assert store.notices == ()

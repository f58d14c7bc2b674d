"""Options of bitsandbytes reach its layers, and what is stored is counted as it lies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.protocols import ScoreRequest

REQUESTS = [
    ScoreRequest(tokens=(1, 20, 30, 40, 50, 60), first_target=1),
    ScoreRequest(tokens=(1, 70, 8, 9), first_target=2),
]
PACKED = 2 * (64 * 64 * 2 + 64 * 32 * 2 + 64 * 128 * 3)
OTHERS = 2 * 128 * 64 + 5 * 64


@pytest.fixture
def pool(checkpoint, specs):
    made = Pool(specs, checkpoint("llama"), 0.9)
    yield made
    made.close()


def test_double_quantization_stores_what_its_nested_scales_take(pool):
    nested = replace(builtin_variant("nf4"), options=(("bnb_4bit_use_double_quant", True),))

    weights, plain = pool.weights(nested), pool.weights(builtin_variant("nf4"))

    # One byte a block of 64; in each layer, 16 + 256 codes, an offset, one scale for 256 blocks.
    blocks = [64 * 64, 64 * 32, 64 * 32, 64 * 64, 64 * 128, 64 * 128, 64 * 128]
    scales = 2 * sum(n // 64 + 4 * (16 + 256 + 1 + -(-n // 64 // 256)) for n in blocks)
    assert weights.stored_bytes == PACKED // 2 + scales + 2 * OTHERS
    assert weights.quantized_fraction == plain.quantized_fraction == 1.0


@pytest.mark.parametrize("storage", ["uint8", "float16", "bfloat16", "float32"])
def test_packed_weights_may_lie_in_tensors_of_any_dtype(pool, storage):
    stored = replace(builtin_variant("nf4"), options=(("bnb_4bit_quant_storage", storage),))

    one, other = pool.get(stored), pool.get(builtin_variant("nf4"))

    assert one.weights.stored_bytes == other.weights.stored_bytes
    assert one.weights.quantized_fraction == 1.0
    for mine, theirs in zip(one.score(REQUESTS), other.score(REQUESTS), strict=True):
        assert np.array_equal(mine, theirs)


def test_the_threshold_reaches_bitsandbytes(pool):
    low = replace(builtin_variant("int8"), options=(("llm_int8_threshold", 0.5),))

    layer = pool.get(low).model.model.layers[0].mlp.up_proj

    assert layer.state.threshold == 0.5


def test_int8_that_keeps_its_weights_in_16_bits_is_not_quantized(pool):
    kept = replace(builtin_variant("int8"), options=(("llm_int8_has_fp16_weight", True),))

    with pytest.raises(UsageError, match="not quantized enough"):
        pool.get(kept)

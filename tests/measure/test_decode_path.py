"""Decoding token by token, whose kernels are others than those of prefill, computes the same."""

from __future__ import annotations

import pytest
from decode_path import difference


# Found: 2.2e-6, 1.4e-6 and 1.4e-6 nats.
@pytest.mark.parametrize(
    ("kind", "variant", "tolerance_nats"),
    [("llama", "fp16", 1e-5), ("llama", "nf4", 1e-5), ("gpt2", "nf4", 1e-5)],
)
def test_log_probabilities_of_decoding_are_those_of_prefill(load, kind, variant, tolerance_nats):
    assert difference(load(kind, variant).model) <= tolerance_nats

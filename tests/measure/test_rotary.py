"""Rotary embeddings that change with the longest sequence of a pass, by whatever name."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pytest_quantcheck.measure.engine.rotary import growing_rotations

DYNAMIC = {"rope_type": "dynamic", "factor": 2.0}
LONG = {"type": "longrope"}
PLAIN = {"rope_type": "default", "rope_theta": 1e4}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, []),
        ({"rope_parameters": None, "rope_scaling": None}, []),
        ({"rope_parameters": PLAIN}, []),
        ({"rope_parameters": DYNAMIC}, [DYNAMIC]),
        ({"rope_parameters": {"full_attention": LONG, "sliding_attention": PLAIN}}, [LONG]),
        ({"rope_scaling": LONG}, [LONG]),
    ],
)
def test_growing_rotations_are_found_by_either_name_and_for_each_kind_of_layer(settings, expected):
    assert [*growing_rotations(SimpleNamespace(**settings))] == expected

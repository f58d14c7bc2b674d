"""Where two outputs part."""

from __future__ import annotations

import pytest

from pytest_quantcheck.measure.parting import first_divergence


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((5, 6, 7), (5, 6, 7), None),
        ((5, 6, 7), (5, 9, 7), 1),
        ((5, 6), (5, 6, 7), 2),
        ((5, 6, 0), (5, 6), 2),
        ((), (5,), 0),
        ((), (), None),
    ],
)
def test_outputs_part_at_the_first_token_that_differs_or_is_missing(one, other, expected):
    assert first_divergence(one, other) == first_divergence(other, one) == expected

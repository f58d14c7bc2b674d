"""Means of real values, where their range ends."""

import numpy as np
import pytest

from pytest_quantcheck.core.limit import Bound, Statistic


@pytest.mark.parametrize("weak", [1, 30])
def test_the_interval_of_a_level_stays_within_the_bounds(weak, make_scores, verdict):
    values = np.ones(100)
    values[:weak] = np.linspace(0.2, 0.9999, weak)
    scores = make_scores(values, "score", bounds=(0.0, 1.0))

    high = verdict(0.5, scores, scores, Statistic.VARIANT_LEVEL, bound=Bound.LOWER).estimate
    low = verdict(
        0.5,
        *[make_scores(1 - values, "score", bounds=(0.0, 1.0))] * 2,
        Statistic.REFERENCE_LEVEL,
    ).estimate

    assert 0.5 < high.low < high.value < high.high <= 1
    assert 0 <= low.low < low.value < low.high < 0.5
    assert (low.low, low.high) == pytest.approx((1 - high.high, 1 - high.low))

"""Error of PASS and FAIL at the limit itself, by enumeration of every result."""

from __future__ import annotations

import pytest
from scipy import stats
from table_binary import FLIPS, LIMITS, errors, textbook_errors
from turning_points import OMITTED, PairedTest, fewest_failing, most_passing


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("n", [30, 100, 300, 1000])
def test_errors_at_the_limit_keep_the_level(n, limit):
    for flips in FLIPS:
        if flips >= limit:
            assert max(errors(n, limit, flips).values()) <= 0.05 + OMITTED, flips


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("n", [100, 300])
def test_errors_at_the_limit_keep_the_level_of_a_family_of_twenty(n, limit):
    for flips in FLIPS:
        if flips >= limit:
            assert max(errors(n, limit, flips, alpha=0.0025).values()) <= 0.0025 + OMITTED, flips


def test_turning_points_are_where_verdicts_turn():
    test, gains = PairedTest(n=60, limit=0.05, alpha=0.05), range(3, 6)
    for number, most, fewest in zip(
        gains, most_passing(test, gains), fewest_failing(test, gains), strict=True
    ):
        assert [test.passes(losses, number) for losses in (most, most + 1)] == [True, False]
        assert [test.fails(losses, number) for losses in (fewest - 1, fewest)] == [False, True]


def test_a_t_test_without_a_flip_passes():
    # 30 examples, one flip in a hundred: no flip at all comes in .99^30 = 74 % of the runs
    found = textbook_errors(30, 0.01, 0.01)
    assert found["t_pass"] == pytest.approx(0.99**30, abs=1e-9)
    # three losses have t = 1.62, four 2.09; the quantile is 1.70
    assert found["t_fail"] == pytest.approx(stats.binom.sf(3, 30, 0.01), abs=1e-9)

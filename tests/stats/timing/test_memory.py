"""Memory is compared exactly."""

import pytest

from pytest_quantcheck.core.grammar import parse_limit
from pytest_quantcheck.core.verdict import Outcome, Reason
from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.serving import judge_memory

LEVELS = levels(0.05, 1)


@pytest.mark.parametrize(
    ("keyword", "limit", "sizes", "value", "outcome"),
    [
        ("max_peak_memory_ratio", 0.5, (200, 100), 0.5, Outcome.PASS),
        ("max_peak_memory_ratio", 0.5, (200, 101), 0.505, Outcome.FAIL),
        ("max_peak_memory_mib", 2, (1, 2 * 2**20), 2.0, Outcome.PASS),
        ("max_peak_memory_mib", 2, (1, 2 * 2**20 + 1), 2 + 2**-20, Outcome.FAIL),
    ],
)
def test_memory_is_compared_exactly(keyword, limit, sizes, value, outcome):
    found = judge_memory(
        parse_limit(keyword, limit), sizes[0], variant_bytes=sizes[1], levels=LEVELS
    )

    assert (found.outcome, found.reason) == (outcome, Reason.EXACT)
    assert found.estimate.value == value
    assert found.estimate.method == "exact comparison"


@pytest.mark.parametrize(("sizes", "side"), [((0, 5), "reference"), ((5, 0), "variant")])
def test_memory_of_nothing_is_an_error(sizes, side):
    limit = parse_limit("max_peak_memory_ratio", 0.5)
    with pytest.raises(MeasurementError, match=f"the {side} used 0 bytes while serving"):
        judge_memory(limit, sizes[0], variant_bytes=sizes[1], levels=LEVELS)

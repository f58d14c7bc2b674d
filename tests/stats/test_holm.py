"""What Holm's test adds to a run: which budgets count, and by how much alpha is divided."""

from dataclasses import replace

import pytest
from known_records import CHECK, ENVIRONMENT

from pytest_quantcheck.stats.holm import also_failing

OPEN = replace(CHECK, p_fail=0.01, is_in_family=True)
FAILED = replace(OPEN, keyword="max_flip_rate", p_fail=0.001, outcome="fail", reason="shown_over")
FIVE = replace(ENVIRONMENT, family_size=5)


def test_what_follows_the_failures_is_divided_by_less():
    (found,) = also_failing([OPEN, FAILED], [FIVE])

    assert (found.keyword, found.p_fail) == (OPEN.keyword, 0.01)
    assert found.p_adjusted == pytest.approx(4 * 0.01)
    assert also_failing([replace(OPEN, p_fail=0.0126), FAILED], [FIVE]) == []


@pytest.mark.parametrize(
    "change", [{"family_size": 20}, {"alpha": 0.01}], ids=["more budgets", "a smaller alpha"]
)
def test_of_several_models_the_strictest_environment_counts(change):
    assert also_failing([OPEN, FAILED], [FIVE, replace(FIVE, **change)]) == []
    assert also_failing([OPEN, FAILED], [replace(FIVE, **change), FIVE]) == []


@pytest.mark.parametrize(
    "change",
    [
        {"is_in_family": False},
        {"outcome": "pass"},
        {"reason": "below_noise_floor"},
        {"reason": "few_nonzero_differences"},
        {"p_fail": None},
    ],
    ids=str,
)
def test_what_no_smaller_p_value_would_fail_is_not_listed(change):
    assert also_failing([replace(OPEN, **change), FAILED], [FIVE]) == []


def test_a_p_value_of_no_test_is_not_counted_before_others():
    untested = replace(OPEN, p_fail=0.0001, reason="few_nonzero_differences")

    (found,) = also_failing([untested, OPEN, FAILED], [FIVE])

    assert found.p_adjusted == pytest.approx(4 * 0.01)


def test_no_family_has_nothing_to_add():
    assert also_failing([], []) == []

"""Family sizes and error rates."""

import random
from itertools import combinations

import pytest

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.stats.family import adjust_by_holm, family_size, levels

ALPHA = 0.05


def test_sizes_round_up_to_one_two_five():
    counts = [0, 1, 2, 3, 5, 6, 10, 11, 20, 21, 50, 51, 100, 101, 500, 501, 1000, 1001]
    sizes = [1, 1, 2, 5, 5, 10, 10, 20, 20, 50, 50, 100, 100, 200, 500, 1000, 1000, 2000]
    assert [family_size(count, None) for count in counts] == sizes


def test_pinned_size_is_kept():
    assert family_size(3, 7) == 7


@pytest.mark.parametrize(
    ("count", "pinned", "text"),
    [
        (12, 10, "family size is set to 10, but 12 limits are declared; set it to 12 or more, or"),
        (0, 0, "family size is set to 0, but 0 limits are declared; set it to 1 or more"),
    ],
)
def test_pinned_size_below_the_count_is_refused(count, pinned, text):
    with pytest.raises(UsageError, match=text):
        family_size(count, pinned)


def test_only_fail_is_divided():
    assert (levels(0.05, 20).alpha_pass, levels(0.05, 20).alpha_fail) == (0.05, 0.0025)


@pytest.mark.parametrize("alpha", [0.0, 0.5, -0.1, float("nan")])
def test_alpha_that_allows_both_verdicts_is_refused(alpha):
    with pytest.raises(UsageError, match=r"give a number above 0 and below 0\.5"):
        levels(alpha, 1)


def rejected_by_closed_tests(p_values):
    """Return the hypotheses of which every intersection is rejected by Bonferroni's test."""
    everyone = range(len(p_values))
    kept = set()
    for size in range(1, len(p_values) + 1):
        for group in combinations(everyone, size):
            if min(p_values[i] for i in group) > ALPHA / size:
                kept |= set(group)
    return set(everyone) - kept


@pytest.mark.parametrize("n_decided", [0, 1, 4, 6])
def test_holm_rejects_what_the_closed_test_rejects(n_decided):
    draw = random.Random(n_decided)
    for _ in range(50):
        decided = [draw.random() ** 4 for _ in range(n_decided)]

        adjusted = adjust_by_holm(decided, 6)

        everything = [*decided, *[1.0] * (6 - n_decided)]
        found = {i for i, p in enumerate(adjusted) if p <= ALPHA}
        assert found == rejected_by_closed_tests(everything)


def test_holm_rejects_something_only_where_bonferroni_does():
    draw = random.Random(2)
    for _ in range(500):
        p_values = [draw.random() ** 3 for _ in range(8)]

        assert (min(adjust_by_holm(p_values, 20)) <= ALPHA) == (min(p_values) <= ALPHA / 20)


def test_holm_goes_down_in_steps_and_never_below_a_smaller_p():
    # Holm's thresholds at a family of four: .0125, .0167, .025, .05
    assert adjust_by_holm([0.012, 0.016, 0.024, 0.049], 4) == [0.048, 0.048, 0.048, 0.049]
    assert adjust_by_holm([0.026, 0.012, 0.016], 4) == pytest.approx([0.052, 0.048, 0.048])
    assert adjust_by_holm([0.9, 0.5], 4) == [1.0, 1.0]

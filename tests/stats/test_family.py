"""Family sizes and error rates."""

import pytest

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.stats.family import family_size, levels


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

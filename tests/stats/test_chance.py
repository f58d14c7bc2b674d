"""A reference that guesses is found out."""

import numpy as np
import pytest
from scipy import stats

from pytest_quantcheck.stats.chance import is_at_chance
from pytest_quantcheck.stats.scores import ExampleScores


def right(n_right, n):
    return ExampleScores(
        metric="accuracy",
        ids=tuple(str(i) for i in range(n)),
        values=np.array([1.0] * n_right + [0.0] * (n - n_right)),
        weights=np.ones(n),
    )


@pytest.mark.parametrize(("n_right", "at_chance"), [(0, True), (58, True), (59, False)])
def test_the_exact_binomial_test_draws_the_line(n_right, at_chance):
    # P(Bin(100, 1/2) >= 58) = .0666, P(Bin(100, 1/2) >= 59) = .0443
    assert is_at_chance(right(n_right, 100), 0.5) is at_chance
    pvalue = stats.binomtest(max(n_right, 1), 100, 0.5, alternative="greater").pvalue
    assert bool(pvalue > 0.05) is at_chance


def test_where_nothing_can_be_guessed_one_right_answer_is_knowledge():
    assert is_at_chance(right(0, 50), 0.0)
    assert not is_at_chance(right(1, 50), 0.0)

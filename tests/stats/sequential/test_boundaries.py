import itertools

import numpy as np
import pytest
from scipy import stats

from pytest_quantcheck.stats.sequential.boundaries import boundary, nominal_level, spent_error


def boundaries(times, alpha):
    return [boundary(tuple(times[: k + 1]), alpha) for k in range(len(times))]


def test_five_equal_looks_are_the_published_ones():
    # R packages ldbounds and gsDesign (sfLDOF), K = 5, alpha .025
    published = [4.8769, 3.3569, 2.6803, 2.2898, 2.0310]  # to their own 1e-4
    assert boundaries([0.2, 0.4, 0.6, 0.8, 1.0], 0.025) == pytest.approx(published, abs=1.5e-4)


def test_two_looks_agree_with_the_bivariate_normal():
    alpha, time = 0.05, 0.3
    first, second = boundaries([time, 1.0], alpha)
    joint = stats.multivariate_normal([0, 0], [[1, time**0.5], [time**0.5, 1]])
    assert stats.norm.sf(first) == pytest.approx(spent_error(time, alpha))
    assert 1 - joint.cdf([first, second]) == pytest.approx(alpha, abs=2e-5)


@pytest.mark.parametrize("times", [np.arange(1, 11) / 10, [0.13, 0.2, 0.5, 0.52, 0.9, 1.0]])
def test_simulated_paths_cross_as_often_as_alpha_says(times):
    rng, alpha, runs = np.random.default_rng(1), 0.05, 200_000
    steps = np.diff(times, prepend=0.0)
    paths = np.cumsum(rng.standard_normal((runs, len(times))) * np.sqrt(steps), axis=1)
    crossed = (paths / np.sqrt(times) >= boundaries(times, alpha)).any(axis=1).mean()
    assert crossed == pytest.approx(alpha, abs=4 * (alpha / runs) ** 0.5)


@pytest.mark.parametrize("alpha", [0.05, 0.05 / 200, 0.05 / 20_000])
def test_one_look_at_the_end_of_two_keeps_nearly_all_of_a_tiny_alpha(alpha):
    level = nominal_level((0.5, 1.0), alpha)
    assert alpha - spent_error(0.5, alpha) <= level <= alpha


def test_levels_grow_with_alpha_and_with_time():
    # So that a FAIL at a part of alpha lies within what the interval at alpha leaves out.
    times = tuple(k / 10 for k in range(1, 11))
    alphas = np.geomspace(1e-6, 0.2, 20)
    for k in range(1, 11):
        levels = [nominal_level(times[:k], alpha) for alpha in alphas]
        assert all(below < above for below, above in itertools.pairwise(levels))
    by_time = [nominal_level(times[:k], 0.05) for k in range(1, 11)]
    assert all(earlier < later for earlier, later in itertools.pairwise(by_time))


def test_a_first_look_too_early_to_spend_anything_never_rejects():
    assert nominal_level((1e-3, 1.0), 1e-6) > 0
    assert boundary((1e-3,), 1e-6) > 30
    assert boundary((1e-3, 2e-3), 1e-6) > 30

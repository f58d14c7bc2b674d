"""Levels of looks: published boundaries, looks that cannot reject, and the way back to alpha."""

import itertools

import numpy as np
import pytest
from scipy import stats

from pytest_quantcheck.stats.sequential.boundaries import nominal_level, spent_error
from pytest_quantcheck.stats.timing.looks import Looks, looks_until


def looks(taken, n, *, n_planned=60, is_final=False, alpha=0.05):
    return Looks(alpha=alpha, n_planned=n_planned, taken=taken, n=n, is_final=is_final)


def until(n, *, earlier=(12, 24, 36, 48), smallest_p=lambda _: 0.0, is_final=False, alpha=0.05):
    return looks_until(
        n, earlier, alpha=alpha, n_planned=60, is_final=is_final, smallest_p=smallest_p
    )


def test_levels_are_those_of_group_sequential_tests():
    # R packages ldbounds and gsDesign (sfLDOF), five equal looks, alpha .025
    published = [4.8769, 3.3569, 2.6803, 2.2898, 2.0310]
    found = [until(n, is_final=n == 60, alpha=0.025).level() for n in (12, 24, 36, 48, 60)]

    assert stats.norm.isf(found) == pytest.approx(published, abs=1.5e-4)


def test_a_test_without_early_looks_keeps_all_of_alpha():
    assert until(60, earlier=(), is_final=True).level() == pytest.approx(0.05)
    assert until(60, earlier=(), is_final=True).adjust(0.0321) == 0.0321


def test_looks_that_cannot_reject_spend_nothing():
    found = until(60, smallest_p=lambda n: 0.02 if n < 60 else 0.0, is_final=True)
    # After 36 of 60 .011 may be spent, so that .02 never rejects; after 48 it may be .028.
    assert found.taken == (48,)
    assert found.level() == pytest.approx(nominal_level((0.8, 1.0), 0.05))


def test_the_time_limit_spends_what_is_left():
    cut = until(30, is_final=True)

    assert cut.taken == (12, 24)
    assert cut.level() > until(30).level()
    # Two looks, the second at the end, as if 30 pairs had been planned but the first look's error
    # is that of 12 and 24 of 60.
    joint = stats.multivariate_normal([0, 0, 0], [
        [1, (12 / 24) ** 0.5, (12 / 30) ** 0.5],
        [(12 / 24) ** 0.5, 1, (24 / 30) ** 0.5],
        [(12 / 30) ** 0.5, (24 / 30) ** 0.5, 1],
    ])  # fmt: skip
    levels = [until(12).level(), until(24).level(), cut.level()]
    assert 1 - joint.cdf(stats.norm.isf(levels)) == pytest.approx(0.05, abs=2e-4)


def test_a_last_look_right_after_another_is_cautious():
    found = looks((12, 24, 36), 37, is_final=True)

    assert found.level() == pytest.approx(0.05 - spent_error(36 / 60, 0.05))


@pytest.mark.parametrize("alpha", [0.05, 0.0025])
def test_paths_cross_as_often_as_alpha_says(alpha):
    rng, runs, ends = np.random.default_rng(1), 200_000, [12, 24, 36, 48, 60]
    steps = np.diff(ends, prepend=0) / 60
    paths = np.cumsum(rng.standard_normal((runs, 5)) * np.sqrt(steps), axis=1)
    z = paths / np.sqrt(np.array(ends) / 60)
    levels = [until(n, is_final=n == 60, alpha=alpha).level() for n in ends]

    crossed = (z >= stats.norm.isf(levels)).any(axis=1).mean()

    assert crossed == pytest.approx(alpha, abs=4 * (alpha / runs) ** 0.5)


@pytest.mark.parametrize("n", [12, 36, 60])
@pytest.mark.parametrize("p", [1e-9, 1e-4, 0.003, 0.02, 0.2])
def test_the_adjusted_p_is_the_smallest_alpha_that_rejects(n, p):
    found = until(n, is_final=n == 60)
    adjusted = found.adjust(p)

    if adjusted == 1.0:
        assert found.level(0.4999) < p
    else:
        assert found.level(adjusted) >= p
        assert adjusted < 1e-11 or found.level(adjusted / 1.01) < p


def test_levels_grow_with_alpha():
    found = until(48)
    levels = [found.level(alpha) for alpha in np.geomspace(1e-9, 0.4, 30)]

    assert all(low < high for low, high in itertools.pairwise(levels))

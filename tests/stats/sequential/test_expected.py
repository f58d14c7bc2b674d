from dataclasses import replace

import numpy as np
import pytest

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.planning import Assumptions, expected_examples, needed_examples
from pytest_quantcheck.stats.sequential import expected
from pytest_quantcheck.stats.sequential.boundaries import boundary
from pytest_quantcheck.stats.sequential.schedule import RIGHT_OR_WRONG

EVERY = replace(RIGHT_OR_WRONG, first=0)


@pytest.mark.parametrize(
    ("n", "flips", "true", "part"),
    [
        (1000, 0.01, 0.0, 0.78),
        (1000, 0.05, 0.0, 0.92),
        (2000, 0.01, 0.0, 0.58),
        (2000, 0.02, 0.02, 0.53),
        (2000, 0.10, 0.05, 0.35),
        (5000, 0.01, 0.0, 0.32),
        (5000, 0.05, 0.0, 0.66),
        (5000, 0.05, 0.02, 0.63),
        (5000, 0.05, 0.05, 0.06),
        (5000, 0.10, 0.0, 0.80),
        (5000, 0.10, 0.05, 0.17),
    ],
)
def test_looks_and_bets_take_what_the_prototype_simulated(n, flips, true, part):
    # Looks and bets together, 10,000 runs a cell, without a floor of 300 examples.
    assuming = Assumptions(flips=flips)
    found = expected_examples("max_accuracy_drop", 0.01, n=n, true=true, assuming=assuming)
    assert found / n == pytest.approx(part, abs=0.02)


@pytest.mark.parametrize("drift", [0.0, 1.5, 3.0, 8.0])
def test_simulated_paths_stop_as_computed(drift):
    rng, looks, runs = np.random.default_rng(0), EVERY.looks(1000), 40_000
    times = np.array(looks) / 1000
    steps = np.diff(times, prepend=0.0)
    paths = np.cumsum(rng.normal(drift * steps, np.sqrt(steps), (runs, 10)), axis=1)
    z = paths / np.sqrt(times)
    edges = [
        [boundary(tuple(times[: k + 1]), 0.9 * alpha) for k in range(10)] for alpha in (0.05, 0.01)
    ]
    stops = (z >= edges[0]) | (z <= -np.array(edges[1]))
    stops[:, -1] = True
    simulated = np.array(looks)[np.argmax(stops, axis=1)]
    found = expected.expected_examples(looks, drift=drift, towards=0.05, against=0.01)
    assert found == pytest.approx(simulated.mean(), abs=4 * simulated.std() / runs**0.5 + 0.5)


def test_where_nothing_can_be_shown_nearly_all_examples_are_taken():
    assert expected_examples("max_accuracy_drop", 0.0, n=2000) > 1950
    assert expected_examples("max_accuracy_drop", 0.01, n=2000, true=0.01) > 1950
    assert expected_examples("max_accuracy_drop", 0.01, n=250, true=0.5) == 250


def test_a_cliff_takes_the_first_batch_and_floors_of_levels_count_too():
    assert expected_examples("max_accuracy_drop", 0.01, n=5000, true=0.5) == 300
    assert expected_examples("min_accuracy", 0.6, n=2000, true=0.9) <= 401
    assert expected_examples("max_perplexity_ratio", 1.01, n=200, true=1.1) == 40
    assert expected_examples("max_flip_rate", 0.05, n=3000, true=0.01) < 1500


def test_needed_examples_of_a_family_take_longer():
    one, many = (
        expected_examples("max_accuracy_drop", 0.01, n=5000, true=0.03, alpha=alpha)
        for alpha in (0.05, 0.05 / 200)
    )
    assert one < many
    assert needed_examples("max_accuracy_drop", 0.01, true=0.03, family_size=200) < 5000


def test_what_cannot_be_is_refused():
    with pytest.raises(UsageError, match="true=nan"):
        expected_examples("max_accuracy_drop", 0.01, n=100, true=float("nan"))

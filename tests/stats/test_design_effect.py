"""What clusters cost, as verdicts report it."""

import numpy as np
import pytest

from pytest_quantcheck.core.budget import Target
from pytest_quantcheck.core.grammar import parse_limit
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.procedures import judge

N_CLUSTERS, COPIES = 50, 4
N = N_CLUSTERS * COPIES
OF_COPIES = COPIES * N_CLUSTERS / (N_CLUSTERS - 1) * (N - 1) / N
"""Variance of a mean of copies over that of as many independent values, by hand."""


def estimate(keyword, value, sides, **options):
    limit = parse_limit(keyword, value)
    verdict = judge(limit, sides[0], variant=sides[1], levels=levels(0.05, 1), **options)
    return verdict.estimate


@pytest.fixture
def copies(make_scores):
    """Return each value of some clusters as often as the clusters have examples."""

    def copies(reference, variant, metric, *, clusters=True, **options):
        return [
            make_scores(
                np.repeat(one, COPIES),
                metric,
                clusters=np.arange(N) // COPIES if clusters else None,
                **options,
            )
            for one in (reference, variant)
        ]

    return copies


RNG = np.random.default_rng(3)
RIGHT = (RNG.random(N_CLUSTERS) < 0.5).astype(float)
STILL = RIGHT * (np.arange(N_CLUSTERS) % 5 > 0)
SCORES = RNG.random(N_CLUSTERS)
BOUNDED = {"bounds": (0.0, 1.0)}
CASES = {
    "drop of right answers": ("max_accuracy_drop", 0.2, (RIGHT, STILL), {}),
    "share": ("min_accuracy", 0.2, (RIGHT, RIGHT), {}),
    "recovery": ("min_accuracy_recovery", 0.8, (RIGHT, STILL), {}),
    "scores": ("max_score_drop", 0.2, (SCORES, SCORES**2), BOUNDED),
    "recovery of scores": ("min_score_recovery", 0.7, (SCORES, SCORES**2), BOUNDED),
    "perplexity": ("max_perplexity_ratio", 1.5, (SCORES, 2 * SCORES), {}),
    "mean KL": ("max_mean_kl", 2.0, (SCORES, SCORES), {}),
}


@pytest.mark.parametrize(("keyword", "value", "sides", "options"), CASES.values(), ids=CASES)
def test_copies_tell_as_much_as_one(copies, keyword, value, sides, options):
    metric = parse_limit(keyword, value).metric
    clustered = copies(*sides, metric, **options)

    assert estimate(keyword, value, clustered).design_effect == pytest.approx(OF_COPIES)

    alone = copies(*sides, metric, clusters=False, **options)
    assert estimate(keyword, value, alone).design_effect is None
    of_these = estimate(keyword, value, clustered, target=Target.DATASET)
    assert of_these.design_effect is None


def test_right_answers_that_do_not_cluster_have_at_least_the_assumed_one(make_scores):
    lost = np.ones(N)
    lost[::20] = 0
    clusters = np.arange(N) // COPIES
    sides = [make_scores(values, clusters=clusters) for values in (np.ones(N), lost)]
    found = estimate("max_accuracy_drop", 0.2, sides)
    assert found.design_effect == pytest.approx(1.15)  # of a correlation of 0.05 in fours


@pytest.mark.parametrize("metric", ["accuracy", "score"])
def test_it_is_unknown_where_one_cluster_has_all(make_scores, metric):
    values = np.linspace(0, 1, N) if metric == "score" else np.arange(N) % 2
    sides = [make_scores(one, metric, clusters=np.zeros(N)) for one in (np.ones(N), values)]
    assert estimate(f"max_{metric}_drop", 0.2, sides).design_effect is None

"""Errors in clusters and of rare changes; the shortcuts of the tables decide as `judge` does."""

import math

import numpy as np
import pytest
import table_clusters
import table_recovery
import table_scores
from simulated import cluster_sizes, clustered_answers, clustered_rates, outcomes
from tabulation import generator

TABLES = {**table_clusters.TABLES, **table_recovery.TABLES, **table_scores.TABLES}


def small(name, runs, cell=0):
    return TABLES[name].measure(TABLES[name].cells[cell], runs, generator(name, cell, 0))


def slack(runs):
    return 4 * math.sqrt(0.05 * 0.95 / runs)


@pytest.mark.parametrize(
    ("name", "cell", "runs"),
    [
        ("clustered-answers", 1, 300),
        ("clustered-flips", 4, 200),
        ("clustered-scores", 4, 600),
        ("perplexity", 0, 600),
        ("blocks", 0, 200),
        ("rare-scores", 1, 300),
        ("recovery-clusters", 0, 300),
    ],
)
def test_few_verdicts_at_the_limit_are_wrong(name, cell, runs):
    found = small(name, runs, cell)
    assert max(found["false_pass"], found["false_fail"]) <= 0.05 + slack(runs)


def test_dependence_that_is_ignored_makes_errors():
    assert small("clustered-scores", 300)["naive_pass"] > 0.15
    assert small("perplexity", 300, cell=2)["naive_fail"] > 0.15
    assert small("blocks", 200)["naive_pass"] > 0.10
    assert small("rare-scores", 300)["t_pass"] > 0.15


def test_answers_in_clusters_are_counted_as_judge_decides_them():
    def draw(rng):
        return clustered_answers(
            rng, cluster_sizes(rng, 40, 10), loss=0.06, gain=0.01, correlation=0.1
        )

    rng, again = (np.random.default_rng(4) for _ in range(2))
    quick = clustered_rates(lambda: draw(rng), 60, limit=0.02)

    assert quick == outcomes(("max_accuracy_drop", 0.02), lambda: draw(again), 60)
    assert quick["fail"] > 0.1


def test_recoveries_in_clusters_are_counted_as_judge_decides_them():
    def draw(rng):
        return table_recovery.answers(rng, 40, 10, recovery=0.9, correlation=0.1)

    rng, again = (np.random.default_rng(5) for _ in range(2))
    quick = clustered_rates(lambda: draw(rng), 60, limit=1 - 0.95, is_relative=True)

    assert quick == outcomes(("min_accuracy_recovery", 0.95), lambda: draw(again), 60)
    assert quick["fail"] > 0.1


@pytest.mark.parametrize("share", [0.02, 0.3])
def test_rare_changes_are_counted_as_judge_decides_them(share):
    rng, again = (np.random.default_rng(6) for _ in range(2))
    quick = table_scores.rare_rates(25, rng, n=150, share=share, limit=0.2)

    def draw():
        return table_scores.rare_drops(again, 150, share)

    assert quick == outcomes(("max_score_drop", 0.2), draw, 25)
    assert quick["pass"] > 0


def test_rates_of_clusters_have_the_correlation_asked_for():
    rng = np.random.default_rng(7)
    rates = table_recovery.cluster_rates(rng, 200_000, rate=0.1, correlation=0.2)
    assert np.mean(rates) == pytest.approx(0.1, abs=0.002)
    assert np.var(rates) / (0.1 * 0.9) == pytest.approx(0.2, abs=0.01)
    assert np.mean(cluster_sizes(rng, 100_000, 7)) == pytest.approx(7, abs=0.1)


def test_sums_of_tokens_have_the_variance_of_the_series():
    rng, lengths = np.random.default_rng(8), np.full(20_000, 50.0)
    found = table_clusters.sum_of_tokens(rng, lengths, memory=0.6, is_skewed=False)
    lags = np.abs(np.subtract.outer(np.arange(50), np.arange(50)))
    assert np.var(found) == pytest.approx(0.3**2 * np.sum(0.6**lags), rel=0.04)
    skewed = table_clusters.sum_of_tokens(rng, lengths, memory=0.0, is_skewed=True)
    assert np.var(skewed) == pytest.approx(0.3**2 * 50, rel=0.04)
    assert abs(np.mean(skewed)) < 0.06

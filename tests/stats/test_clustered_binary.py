"""Paired test with a design effect."""

import math

import numpy as np
import pytest
from scipy import stats

from pytest_quantcheck.stats.clustered_binary import design_effect, estimate_clustered_drop
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.ratio_mean import add_up, estimate_ratio_mean
from pytest_quantcheck.stats.tango import PairedCounts, score_z

PAIRS = levels(0.05, 1)


def effect(differences, clusters):
    by_cluster = add_up(differences, np.ones(differences.size), clusters=clusters)
    return design_effect(by_cluster, differences)


def spread(n_losses, n, size):
    differences = np.zeros(n)
    differences[:: n // n_losses][:n_losses] = 1
    return differences, np.arange(n) // size


def test_floor_is_a_correlation_of_one_twentieth():
    # 40 clusters of 5 with losses spread evenly: 1 + (5 - 1) * 0.05
    assert effect(*spread(8, 200, 5)) == pytest.approx(1.2)


def test_losses_that_come_together_widen_further():
    differences = np.zeros(200)
    differences[:15] = 1
    clusters = np.arange(200) // 5
    alone = estimate_ratio_mean(add_up(differences, np.ones(200), clusters=None))
    together = estimate_ratio_mean(add_up(differences, np.ones(200), clusters=clusters))
    assert effect(differences, clusters) == pytest.approx((together.error / alone.error) ** 2)
    assert effect(differences, clusters) > 4


def test_without_flips_a_cluster_counts_as_one_example():
    assert effect(np.zeros(100), np.arange(100) // 2) == 2
    assert effect(np.zeros(40), np.repeat([0, 1], [10, 30])) == (10**2 + 30**2) / 40


def test_repeated_examples_that_never_flip_pass_no_sooner_than_single_ones():
    # Copies of one example flip together: 40 of them show no drop below 1 - .05^(1/40) = 7.2 %.
    def p_pass(copies, n_clusters):
        n = copies * n_clusters
        return estimate_clustered_drop(
            PairedCounts(losses=0, gains=0, n=n),
            np.zeros(n),
            clusters=np.arange(n) // copies,
            limit=0.05,
            levels=PAIRS,
        ).p_pass

    assert p_pass(4, 40) == pytest.approx(p_pass(20, 40))
    assert p_pass(4, 40) > 0.05
    assert p_pass(4, 80) < 0.05


def test_p_values_are_the_score_over_the_root_of_the_effect():
    differences, clusters = spread(8, 200, 5)
    found = estimate_clustered_drop(
        PairedCounts(losses=8, gains=0, n=200),
        differences,
        clusters=clusters,
        limit=0.02,
        levels=PAIRS,
    )
    t = float(score_z(8, 0, n=200, limit=0.02)) / math.sqrt(1.2)
    # equal clusters: 40 - 1 degrees of freedom
    assert found.p_pass == pytest.approx(stats.t.cdf(t, 39), rel=1e-9)
    assert found.p_fail == pytest.approx(stats.t.sf(t, 39), rel=1e-9)
    assert found.n_clusters == 40
    quantile = stats.t.isf(0.05, 39) * math.sqrt(1.2)
    assert score_z(8, 0, n=200, limit=found.high) == pytest.approx(-quantile, abs=1e-6)
    assert score_z(8, 0, n=200, limit=found.low) == pytest.approx(quantile, abs=1e-6)


def test_one_cluster_tells_nothing():
    differences = np.repeat([1.0, 0.0], [10, 90])
    found = estimate_clustered_drop(
        PairedCounts(losses=10, gains=0, n=100),
        differences,
        clusters=np.zeros(100, dtype=np.int64),
        limit=0.02,
        levels=PAIRS,
    )
    assert (found.p_pass, found.p_fail, found.low, found.high) == (1.0, 1.0, -1.0, 1.0)

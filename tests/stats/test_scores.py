"""The level of a metric."""

import math

import pytest

from pytest_quantcheck.stats.scores import metric_level


def test_level_of_a_share_is_its_mean(make_scores):
    assert metric_level(make_scores([1, 0, 1, 1])) == 0.75


def test_level_of_losses_is_the_perplexity_of_all_tokens(make_scores):
    scores = make_scores([2.0, 9.0], "perplexity", weights=[2, 3])
    assert metric_level(scores) == pytest.approx(math.exp(11 / 5))

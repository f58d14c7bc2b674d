import math

import numpy as np
import pytest
from scipy import stats

from pytest_quantcheck.core.limit import Bound, Statistic
from pytest_quantcheck.core.verdict import Levels, Outcome
from pytest_quantcheck.stats.procedures import examine
from pytest_quantcheck.stats.sequential.contrast import make_contrast
from pytest_quantcheck.stats.sequential.skewed import straighten

EVEN = Levels(alpha_pass=0.05, alpha_fail=0.05)


@pytest.fixture
def straightened(make_scores, make_limit):
    """Return the evidence on an upper limit of 0.05 per unit, before and after."""

    def make(differences, *, metric="score", statistic=Statistic.DROP, weights=None, value=0.05):
        n = len(differences)
        reference = make_scores(np.full(n, 300.0), metric, weights=weights)
        sign = -1 if metric == "score" else 1
        variant = make_scores(300.0 + sign * np.asarray(differences), metric, weights=weights)
        limit = make_limit(value, statistic, metric=metric)
        evidence = examine(limit, reference, variant=variant, levels=EVEN)
        contrast = make_contrast(limit, reference, variant)
        return evidence, straighten(evidence, contrast, limit=limit, levels=EVEN)

    return make


def test_symmetric_differences_are_left_alone(straightened):
    before, after = straightened(np.random.default_rng(0).normal(size=200))
    assert after is before


def test_skewed_differences_are_transformed(straightened):
    # Hall (1992), by hand
    differences = np.random.default_rng(0).exponential(size=100)
    before, after = straightened(differences)
    w = (differences.mean() - 0.05) / differences.std()
    g = stats.skew(differences)
    by_hand = 10 * (w + g * w**2 / 3 + g**2 * w**3 / 27 + g / 600)
    assert g > 1
    assert after.estimate.p_fail == pytest.approx(stats.t.sf(by_hand, 99), rel=1e-6)
    assert after.estimate.p_fail != before.estimate.p_fail
    assert after.estimate.value == before.estimate.value
    assert after.estimate.high > before.estimate.high


def test_ratios_are_transformed_by_documents_of_any_length(straightened):
    rng = np.random.default_rng(1)
    weights = rng.integers(50, 200, 100).astype(float)
    differences = weights * 0.1 * rng.exponential(size=100)
    _, after = straightened(
        differences,
        metric="perplexity",
        statistic=Statistic.LOG_RATIO,
        weights=weights,
        value=1.05,
    )
    estimate = after.estimate
    assert estimate.method.endswith("Hall's transform")
    assert estimate.value == pytest.approx(math.exp(differences.sum() / weights.sum()))
    assert estimate.low < estimate.value < estimate.high
    for value, p in [(estimate.high, "p_pass"), (estimate.low, "p_fail")]:
        _, again = straightened(
            differences,
            metric="perplexity",
            statistic=Statistic.LOG_RATIO,
            weights=weights,
            value=value,
        )
        assert getattr(again.estimate, p) == pytest.approx(0.05)


def test_equal_and_rare_differences_keep_their_own_rules(straightened):
    for differences in (np.zeros(50), np.r_[5.0, np.zeros(49)]):
        before, after = straightened(differences)
        assert after is before


def test_skewed_documents_are_decided_by_the_transform(trial, make_scores, make_limit):
    differences = np.random.default_rng(0).exponential(size=200)
    reference = make_scores(np.full(200, 300.0), "score")
    variant = make_scores(300.0 - differences, "score")
    limit = make_limit(0.5, metric="score")
    decided = trial(0.5, reference, variant, limit=limit, batch=20)
    assert decided.n == 200  # under 300 scores there are no looks
    longer = [make_scores(np.tile(s.values, 5), "score") for s in (reference, variant)]
    verdict = trial(0.5, *longer, limit=limit, batch=20).verdict
    assert verdict.outcome is Outcome.FAIL
    assert "Hall's transform" in verdict.estimate.method
    assert verdict.estimate.low >= 0.5


def test_levels_are_left_alone(make_scores, make_limit):
    scores = make_scores(np.random.default_rng(0).exponential(size=100), "score")
    limit = make_limit(0.5, Statistic.VARIANT_LEVEL, metric="score", bound=Bound.LOWER)
    evidence = examine(limit, scores, variant=scores, levels=EVEN)
    contrast = make_contrast(limit, scores, scores)
    assert straighten(evidence, contrast, limit=limit, levels=EVEN) is evidence

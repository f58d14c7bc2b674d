"""A claim about these examples only: the figure against the limit, and nothing invented."""

import math

import numpy as np
import pytest

from pytest_quantcheck.core.budget import Target
from pytest_quantcheck.core.limit import Bound, Statistic
from pytest_quantcheck.core.verdict import Outcome, Reason
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.procedures import judge

LEVELS = levels(0.05, 1)


@pytest.fixture
def claim(make_limit):
    def judged(value, reference, variant, statistic=Statistic.DROP, *, bound=Bound.UPPER):
        limit = make_limit(value, statistic, bound=bound)
        return judge(limit, reference, variant=variant, levels=LEVELS, target=Target.DATASET)

    return judged


@pytest.mark.parametrize("n", [1, 3, 10, 1000])
def test_the_limit_itself_is_within_and_a_hair_more_is_not(make_counts, claim, n):
    pair = make_counts(1, 0, n)

    assert claim(1 / n - 1e-10, *pair).outcome is Outcome.PASS  # rounding
    assert claim(1 / n - 1e-8, *pair).outcome is Outcome.FAIL


def test_nothing_is_invented(make_counts, claim):
    found = claim(0.01, *make_counts(3, 1, 40, clusters=np.arange(40) // 10))

    assert (found.outcome, found.reason) == (Outcome.FAIL, Reason.ON_THESE_EXAMPLES)
    estimate = found.estimate
    assert (estimate.value, estimate.n, estimate.n_clusters) == (0.05, 40, None)
    unknown = (estimate.low, estimate.high, estimate.p_pass, estimate.p_fail)
    assert all(math.isnan(number) for number in unknown)
    assert (found.needed_n, found.note) == (None, "")


@pytest.mark.parametrize(
    ("statistic", "bound", "kept", "broken"),
    [
        (Statistic.DROP, Bound.UPPER, 0.05, 0.04),
        (Statistic.FLIPS, Bound.UPPER, 0.1, 0.09),
        (Statistic.HARMFUL_FLIPS, Bound.UPPER, 0.075, 0.07),
        (Statistic.VARIANT_LEVEL, Bound.LOWER, 0.925, 0.93),
        (Statistic.REFERENCE_LEVEL, Bound.LOWER, 0.975, 0.98),
    ],
)
def test_every_statistic_is_compared_as_it_stands(
    make_counts, claim, statistic, bound, kept, broken
):
    pair = make_counts(3, 1, 40)

    assert claim(kept, *pair, statistic, bound=bound).outcome is Outcome.PASS
    assert claim(broken, *pair, statistic, bound=bound).outcome is Outcome.FAIL


def test_perplexity_is_the_ratio_of_these_documents(make_scores, claim):
    pair = [make_scores(v, "perplexity", weights=[10, 30]) for v in ([20, 60], [22, 60])]

    ratio = math.exp(2 / 40)
    assert claim(ratio, *pair, Statistic.LOG_RATIO).outcome is Outcome.PASS
    assert claim(ratio - 1e-6, *pair, Statistic.LOG_RATIO).outcome is Outcome.FAIL


def test_an_infinite_loss_fails(make_scores, claim):
    pair = [make_scores(v, "perplexity") for v in ([1.0, 2], [1.0, math.inf])]

    found = claim(2, *pair, Statistic.LOG_RATIO)
    assert (found.outcome, found.reason) == (Outcome.FAIL, Reason.NON_FINITE)

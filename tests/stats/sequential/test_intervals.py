"""Intervals and p-values that hold whenever one stops, and agree with the verdict."""

import itertools

import numpy as np
import pytest

from pytest_quantcheck.core.budget import Target
from pytest_quantcheck.core.limit import Bound, Statistic
from pytest_quantcheck.core.verdict import Levels, Outcome

EVEN = Levels(alpha_pass=0.05, alpha_fail=0.05)
SPLIT = Levels(alpha_pass=0.05, alpha_fail=0.05 / 20)


def right_or_wrong(rng, n, loss, gain):
    u = rng.random(n)
    return np.where((u >= loss) & (u < loss + gain), 0.0, 1.0), np.where(u < loss, 0.0, 1.0)


@pytest.mark.parametrize("levels", [EVEN, SPLIT])
@pytest.mark.parametrize("loss", [0.0, 0.01, 0.03, 0.06, 0.3])
@pytest.mark.parametrize(
    ("statistic", "value", "bound"),
    [
        (Statistic.DROP, 0.02, Bound.UPPER),
        (Statistic.FLIPS, 0.03, Bound.UPPER),
        (Statistic.HARMFUL_FLIPS, 0.03, Bound.UPPER),
        (Statistic.VARIANT_LEVEL, 0.95, Bound.LOWER),
        (Statistic.RECOVERY, 0.97, Bound.LOWER),
    ],
)
def test_verdict_interval_and_p_values_agree(
    trial, make_scores, make_limit, statistic, value, bound, loss, levels
):
    reference, variant = right_or_wrong(np.random.default_rng(5), 800, loss, 0.01)
    decided = trial(
        value,
        make_scores(reference),
        make_scores(variant),
        levels=levels,
        limit=make_limit(value, statistic, bound=bound),
    )
    verdict, estimate = decided.verdict, decided.verdict.estimate
    assert verdict.outcome is decided.outcome
    assert estimate.low <= estimate.value <= estimate.high
    within, over = estimate.high <= value, estimate.low >= value
    if bound is Bound.LOWER:
        within, over = over, within
    assert (verdict.outcome is Outcome.PASS) is (estimate.p_pass <= levels.alpha_pass)
    assert (verdict.outcome is Outcome.FAIL) is (estimate.p_fail <= levels.alpha_fail)
    if verdict.outcome is Outcome.PASS:
        assert within
    if verdict.outcome is Outcome.FAIL:
        assert over
    if verdict.outcome is Outcome.INCONCLUSIVE:
        assert decided.n == 800
        assert not within


@pytest.mark.parametrize("drop", [0.01, 0.04])
def test_intervals_cover_the_truth_wherever_one_stops(trial, make_scores, drop):
    rng, runs, missed = np.random.default_rng(11), 40, 0
    for _ in range(runs):
        reference, variant = right_or_wrong(rng, 400, drop + 0.01, 0.01)
        decided = trial(0.02, make_scores(reference), make_scores(variant))
        estimate = decided.verdict.estimate
        missed += not estimate.low <= drop <= estimate.high
    assert missed / runs <= 0.1 + 3 * (0.1 * 0.9 / runs) ** 0.5


def test_intervals_of_a_given_set_cover_its_figure(trial, shuffled):
    runs, missed = 20, 0
    for seed in range(runs):
        decided = trial(0.02, *shuffled(30, 10, 1000, seed=seed), target=Target.DATASET)
        estimate = decided.verdict.estimate
        missed += not np.isnan(estimate.low) and not estimate.low <= 0.02 <= estimate.high
    assert missed / runs <= 0.1 + 3 * (0.1 * 0.9 / runs) ** 0.5


def test_p_values_are_the_smallest_levels_that_the_last_look_rejects_at(trial, make_scores):
    # losses come last, so that no earlier look rejects
    losses = {*range(0, 900, 45), *range(900, 1000, 13)}
    reference = make_scores(np.ones(1000))
    variant = make_scores([float(i not in losses) for i in range(1000)])
    p = trial(0.02, reference, variant, levels=EVEN).verdict.estimate.p_fail
    assert 0.05 < p < 0.5
    for alpha, outcome in [(p * 1.001, Outcome.FAIL), (p * 0.999, Outcome.INCONCLUSIVE)]:
        levels = Levels(alpha_pass=0.01, alpha_fail=alpha)
        decided = trial(0.02, reference, variant, levels=levels)
        assert decided.n == 1000
        assert decided.outcome is outcome


def test_exchange_of_reference_and_variant_mirrors_the_verdict(trial, shuffled):
    reference, variant = shuffled(40, 70, 2000, seed=3)
    decided = trial(0.01, reference, variant).verdict
    mirrored = trial(-0.01, variant, reference).verdict
    opposite = {Outcome.PASS: Outcome.FAIL, Outcome.FAIL: Outcome.PASS}
    assert mirrored.outcome is opposite.get(decided.outcome, decided.outcome)
    assert mirrored.estimate.n == decided.estimate.n
    assert mirrored.estimate.high == pytest.approx(-decided.estimate.low, abs=2e-4)
    assert mirrored.estimate.p_fail == pytest.approx(decided.estimate.p_pass, rel=1e-3)


def test_a_looser_limit_never_turns_red(trial, shuffled):
    outcomes = [
        trial(limit, *shuffled(50, 10, 1000, seed=1)).outcome
        for limit in (0.005, 0.01, 0.02, 0.03, 0.05, 0.08)
    ]
    order = [Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS]
    ranks = [order.index(outcome) for outcome in outcomes]
    assert all(before <= after for before, after in itertools.pairwise(ranks))
    assert {0, 2} <= {*ranks}

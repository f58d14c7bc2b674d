"""Suggested budgets: halves, levels, and what the tests themselves say of them."""

import math

import numpy as np
import pytest
from scipy import stats

from pytest_quantcheck.core.grammar import nominal_limit
from pytest_quantcheck.core.verdict import Levels, Outcome
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.stats.procedures import examine, judge
from pytest_quantcheck.stats.scores import ExampleScores
from pytest_quantcheck.stats.suggest import Aim, Sides, split, suggest

AIM = Aim(levels=Levels(alpha_pass=0.05, alpha_fail=0.05), false_alarm=0.05)


def scores(metric, values, **fields):
    n = len(values)
    given = {"weights": np.ones(n), "clusters": None, "bounds": None} | fields
    ids = tuple(f"e{i}" for i in range(n))
    return ExampleScores(metric=metric, ids=ids, values=np.asarray(values, float), **given)


def answers(n=600, flips=0.06, seed=0, metric="accuracy", **fields):
    rng = np.random.default_rng(seed)
    reference = (rng.random(n) < 0.9).astype(float)
    variant = np.where(rng.random(n) < flips, 1 - reference, reference)
    return Sides(
        reference=scores(metric, reference, **fields), variant=scores(metric, variant, **fields)
    )


def documents(n, seed=0, shift=0.03):
    rng = np.random.default_rng(seed)
    weights = rng.integers(50, 900, n).astype(float)
    losses = weights * rng.uniform(2, 3, n)
    return Sides(
        reference=scores("perplexity", losses, weights=weights),
        variant=scores("perplexity", losses + weights * rng.normal(shift, 0.05, n),
                       weights=weights),
    )  # fmt: skip


def made(keyword, sides, aim=AIM, seed=0):
    return suggest(keyword, sides, halves=split(sides.variant, seed=seed), aim=aim)


def test_halves_hold_whole_clusters():
    clusters = np.random.default_rng(1).integers(0, 41, 300)
    found = split(answers(300, clusters=clusters).variant, seed=0)

    sides = [{clusters[int(name[1:])] for name in half} for half in
             (found.proposing, found.checking)]  # fmt: skip
    assert not sides[0] & sides[1]
    assert found.n_units == (len(sides[0]), len(sides[1])) == (21, 20)
    assert len(found.proposing) + len(found.checking) == 300
    assert found.ratio == pytest.approx(41 / 21)


def test_the_split_depends_on_the_seed_and_not_on_the_order():
    whole = answers(100).variant
    backwards = ExampleScores(
        metric="accuracy", ids=whole.ids[::-1], values=whole.values[::-1], weights=np.ones(100)
    )

    assert split(whole, seed=3).proposing == split(backwards, seed=3).proposing
    assert split(whole, seed=3).proposing != split(whole, seed=4).proposing


@pytest.mark.parametrize("family", [1, 4])
def test_limits_are_confidence_limits_of_the_proposing_half(family):
    """The levels are those of the closed form, for a t-test whose interval scipy computes."""
    sides = documents(200)
    halves = split(sides.variant, seed=0)
    aim = Aim(levels=Levels(alpha_pass=0.05, alpha_fail=0.05 / family), false_alarm=0.05)
    half = sides.among(halves.proposing)
    z = stats.norm.isf
    k = (z(0.05) * math.sqrt(3) - z(0.05 / family)) / math.sqrt(2)
    k_pass = (z(0.05) + z(0.2) * math.sqrt(3)) / math.sqrt(2)
    nominal = nominal_limit("max_perplexity_ratio")
    edges = [
        examine(
            nominal, half.reference, variant=half.variant,
            levels=Levels(alpha_pass=level, alpha_fail=level),
        ).estimate.high
        for level in (min(stats.norm.sf(k), 0.49), stats.norm.sf(k_pass))
    ]  # fmt: skip

    found = suggest("max_perplexity_ratio", sides, halves=halves, aim=aim)

    shown = [found.limit.value, found.passing.value]
    wanted = [max(edge, found.seen.value) for edge in edges]
    for value, edge in zip(shown, wanted, strict=True):
        assert value - 0.005 < edge <= value


@pytest.mark.parametrize(
    "keyword",
    ["max_accuracy_drop", "min_accuracy", "min_accuracy_recovery", "max_flip_rate",
     "min_reference_accuracy"],
)  # fmt: skip
@pytest.mark.parametrize("clusters", [None, np.arange(600) // 5])
def test_the_limit_holds_what_was_seen_and_what_the_half_passes(keyword, clusters):
    sides = answers(clusters=clusters)
    halves = split(sides.variant, seed=0)
    half = sides.among(halves.proposing)
    level = stats.norm.sf((stats.norm.isf(0.05) * (math.sqrt(3) - 1)) / math.sqrt(2))

    found = suggest(keyword, sides, halves=halves, aim=AIM)

    is_upper = found.limit.bound.value == "upper"
    assert found.limit.value >= found.seen.value if is_upper else (
        found.limit.value <= found.seen.value
    )  # fmt: skip
    verdict = judge(
        found.limit, half.reference, variant=half.variant,
        levels=Levels(alpha_pass=level, alpha_fail=level),
    )  # fmt: skip
    assert verdict.estimate.p_pass <= level * (1 + 1e-6)
    assert (found.passing.value >= found.limit.value) is is_upper
    other = sides.among(halves.checking)
    again = judge(found.limit, other.reference, variant=other.variant, levels=AIM.levels)
    assert found.check.estimate == again.estimate
    assert found.check.outcome is again.outcome


def test_rarer_false_alarms_and_smaller_families_loosen():
    sides = answers(1000)

    def drop(alarm, family):
        levels = Levels(alpha_pass=0.05, alpha_fail=0.05 / family)
        return made("max_accuracy_drop", sides, Aim(levels=levels, false_alarm=alarm)).limit.value

    assert drop(0.001, 1) > drop(0.05, 1) > drop(0.05, 50)


def test_a_half_that_disagrees_fails():
    rng = np.random.default_rng(0)
    sides = answers(400, flips=0.0)
    halves = split(sides.variant, seed=0)
    broken = [name in halves.checking and rng.random() < 0.4 for name in sides.variant.ids]
    lossy = scores("accuracy", np.where(broken, 0.0, sides.variant.values))

    found = suggest(
        "max_accuracy_drop", Sides(reference=sides.reference, variant=lossy), halves=halves, aim=AIM
    )

    assert found.limit.value >= 0.15  # at least what all examples show
    assert found.check.outcome is Outcome.FAIL


def test_identical_losses_bear_no_budget():
    sides = documents(60)
    same = Sides(reference=sides.reference, variant=sides.reference)

    found = made("max_perplexity_ratio", same)

    assert (found.limit, found.check, found.passing) == (None, None, None)
    assert found.seen.value == 1


def test_a_share_that_fills_everything_bears_no_budget():
    n = 200
    sides = Sides(reference=scores("accuracy", np.ones(n)), variant=scores("accuracy", np.zeros(n)))

    assert made("max_accuracy_drop", sides).limit is None


def test_answers_that_never_differ_bear_one():
    found = made("max_accuracy_drop", answers(flips=0.0))

    # 300 examples without a flip: (1 - B)^300 = level of k = .85.
    assert found.limit.value == 0.006
    assert found.check.outcome is Outcome.INCONCLUSIVE


def test_a_limit_of_another_metric_is_refused():
    with pytest.raises(UsageError, match="a drop is of what is better when higher"):
        made("max_degenerate_rise", answers())

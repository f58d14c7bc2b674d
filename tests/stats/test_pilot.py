"""What a run tells of its examples, from the records it leaves."""

import math

import numpy as np
import pytest
from scipy import stats

from pytest_quantcheck.core.grammar import parse_limit
from pytest_quantcheck.core.supplements import PilotRecord
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.pilot import learn
from pytest_quantcheck.stats.plan import Assumptions
from pytest_quantcheck.stats.procedures import judge
from pytest_quantcheck.stats.scores import ExampleScores, metric_level

LEVELS = levels(0.05, 1)


def scores(metric, values, clusters=None):
    ids, weights = tuple(map(str, range(len(values)))), np.ones(len(values))
    return ExampleScores(metric=metric, ids=ids, values=values, weights=weights, clusters=clusters)


def learned(keyword, value, reference, variant, *, bounds=None):
    """Return what is learned from the verdict on these scores."""
    limit = parse_limit(keyword, value)
    found = judge(limit, reference, variant=variant, levels=LEVELS).estimate
    pilot = PilotRecord(
        nodeid="", workload="", slice=None, keyword=keyword,
        reference_level=metric_level(reference), value=found.value, low=found.low,
        high=found.high, confidence_level=found.confidence_level, n=found.n,
        n_planned=None, stopped_early=False, n_clusters=found.n_clusters, counts=dict(found.counts),
    )  # fmt: skip
    return learn(limit, pilot, bounds=bounds)


def answers(n, losses, gains, right):
    reference, variant = np.zeros(n), np.zeros(n)
    reference[: losses + right] = variant[losses : losses + right] = 1
    variant[losses + right : losses + right + gains] = 1
    return reference, variant


@pytest.mark.parametrize("keyword", ["max_accuracy_drop", "min_accuracy_recovery", "max_flip_rate"])
def test_flips_are_taken_at_their_upper_limit(keyword):
    reference, variant = answers(200, 6, 4, 150)

    found = learned(keyword, 0.5, scores("accuracy", reference), scores("accuracy", variant))

    assert found.flips == pytest.approx(stats.beta.ppf(0.8, 11, 190))
    assert found.reference_level == pytest.approx(0.78)
    assert (found.cluster_size, found.design_effect) == (1, None)


@pytest.mark.parametrize(("losses", "gains"), [(863, 3), (3, 863)])
def test_what_is_shown_to_be_net_loss_is_not_expected_of_another_model(losses, gains):
    pair = [scores("accuracy", one) for one in answers(1000, losses, gains, 31)]

    found = learned("max_accuracy_drop", 0.03, *pair).flips

    # The interval of the net loss is 86.0 pp [84.0, 87.8]: 26 of 866 flips are not shown to be one.
    assert found == pytest.approx(stats.beta.ppf(0.8, 27, 974), rel=0.1)
    assert learned("max_flip_rate", 0.03, *pair).flips > 0.86


def test_no_flips_are_not_taken_as_none_ever():
    reference, variant = answers(200, 0, 0, 150)

    found = learned(
        "max_accuracy_drop", 0.1, *(scores("accuracy", x) for x in (reference, variant))
    )

    assert found.flips == pytest.approx(1 - 0.2 ** (1 / 200))  # .008


def test_flips_of_all_stay_all_and_a_level_tells_of_none():
    reference, variant = answers(40, 40, 0, 0)
    pair = [scores("accuracy", x) for x in (reference, variant)]

    assert learned("min_accuracy_recovery", 0.9, *pair).flips == 1
    assert learned("min_reference_accuracy", 0.1, *pair).flips == Assumptions().flips


@pytest.mark.parametrize(
    ("keyword", "value", "metric"),
    [("max_perplexity_ratio", 1.1, "perplexity"), ("max_score_drop", 0.1, "score")],
)
def test_the_spread_is_read_from_the_interval(keyword, value, metric):
    rng = np.random.default_rng(3)
    reference, change = rng.uniform(0.5, 0.6, 50), rng.normal(0, 0.04, 50)
    sign = 1 if metric == "perplexity" else -1

    found = learned(
        keyword, value, scores(metric, reference), scores(metric, reference + sign * change)
    )

    upper = math.sqrt(49 / stats.chi2.ppf(0.2, 49))
    assert found.spread == pytest.approx(np.std(change, ddof=1) * upper, rel=0.01)
    assert found.design_effect == 1


def test_where_there_is_no_interval_the_spread_is_assumed():
    same = np.full(50, 0.5)

    found = learned("max_perplexity_ratio", 1.1, *2 * [scores("perplexity", same)])

    assert found.spread is None


@pytest.mark.parametrize("keyword", ["max_accuracy_drop", "max_flip_rate"])
def test_alike_clusters_have_about_their_size_as_design_effect(keyword):
    rng = np.random.default_rng(4)
    drawn = rng.random(400)
    reference, variant = (drawn < 0.8).astype(float), (np.abs(drawn - 0.5) > 0.1).astype(float)
    labels = np.repeat(np.arange(400), 3)
    pair = [scores("accuracy", np.repeat(x, 3), labels) for x in (reference, variant)]

    found = learned(keyword, 0.3, *pair)

    assert found.cluster_size == 3
    assert found.design_effect == pytest.approx(3, rel=0.1)


def test_recovery_in_clusters_and_clusters_without_flips_tell_no_design_effect():
    labels = np.repeat(np.arange(100), 2)
    reference, variant = answers(200, 6, 4, 150)
    pair = [scores("accuracy", x, labels) for x in (reference, variant)]

    assert learned("min_accuracy_recovery", 0.9, *pair).design_effect is None
    assert learned("max_accuracy_drop", 0.1, pair[0], pair[0]).design_effect is None


def test_bounds_are_kept():
    rng = np.random.default_rng(5)
    pair = [scores("score", rng.uniform(0, 10, 40)) for _ in range(2)]

    assert learned("max_score_drop", 1.0, *pair, bounds=(0.0, 10.0)).bounds == (0, 10)

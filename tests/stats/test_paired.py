"""Matching of reference and variant, and what is refused."""

import re

import numpy as np
import pytest

from pytest_quantcheck.errors import MeasurementError, UnpairedScoresError
from pytest_quantcheck.stats.paired import align, check_reference


def test_scores_are_matched_by_id_in_any_order(make_scores):
    reference = make_scores([1, 0, 1], ids=["a", "b", "c"])
    variant = make_scores([0, 1, 0], ids=["c", "a", "b"])
    pairs = align(reference, variant)
    assert pairs.ids == ("a", "b", "c")
    assert pairs.n == 3
    assert pairs.reference.tolist() == [1, 0, 1]
    assert pairs.variant.tolist() == [1, 0, 0]
    assert pairs.clusters is None


def test_other_examples_are_named_on_both_sides(make_scores):
    reference = make_scores([1] * 8, ids=[f"r{i}" for i in range(7)] + ["both"])
    variant = make_scores([1, 1], ids=["both", "v0"])
    with pytest.raises(UnpairedScoresError) as error:
        align(reference, variant)
    assert str(error.value) == (
        "reference and variant were scored on different examples; in the reference only: 'r0', "
        "'r1', 'r2', 'r3', 'r4' and 2 more; in the variant only: 'v0'; measure both on one workload"
    )


def test_missing_examples_are_named_on_one_side(make_scores):
    both, one = make_scores([1, 1], ids=["a", "b"]), make_scores([1], ids=["a"])
    with pytest.raises(UnpairedScoresError, match="in the reference only: 'b'; measure"):
        align(both, one)
    with pytest.raises(UnpairedScoresError, match="examples; in the variant only: 'b'; measure"):
        align(one, both)


def test_repeated_ids_are_refused(make_scores):
    twice = make_scores([1, 1, 0], ids=["a", "b", "a"])
    with pytest.raises(MeasurementError, match="ids occur more than once in the reference: 'a'"):
        align(twice, twice)


def test_no_examples_are_refused(make_scores):
    with pytest.raises(MeasurementError, match="no examples: the reference has no value of 'acc"):
        align(make_scores([]), make_scores([]))


@pytest.mark.parametrize("role", ["reference", "variant"])
def test_nan_is_refused_with_the_first_five_ids(make_scores, role):
    good, bad = make_scores([1.0] * 9, "score"), make_scores([1.0, *[np.nan] * 8], "score")
    pair = (bad, good) if role == "reference" else (good, bad)
    wanted = f"score of the {role} is NaN for 'e00001', .*'e00005' and 3 more"
    with pytest.raises(MeasurementError, match=wanted):
        align(*pair)


def test_infinite_reference_is_refused(make_scores):
    infinite = make_scores([1.0, np.inf], "perplexity")
    with pytest.raises(MeasurementError, match="perplexity of the reference is infinite for 'e00"):
        check_reference(infinite)


def test_infinite_loss_of_the_variant_is_kept(make_scores):
    pairs = align(make_scores([1, 2], "perplexity"), make_scores([1, np.inf], "perplexity"))
    assert np.isinf(pairs.variant[1])


@pytest.mark.parametrize(
    ("values", "metric", "bounds", "wanted"),
    [
        ([1, 0.5], "accuracy", None, "accuracy of the variant is not 0 or 1, with weight 1"),
        ([1, 2], "score", (0, 1), "score of the variant is not finite and within .0, 1., with"),
        ([1, np.inf], "score", None, "not finite and within .-inf, inf."),
        ([1, -np.inf], "perplexity", None, "perplexity of the variant is not a loss above minus"),
    ],
)
def test_impossible_values_are_refused(make_scores, values, metric, bounds, wanted):
    reference = make_scores([1, 1], metric, bounds=bounds)
    with pytest.raises(MeasurementError, match=wanted + ".*, for 'e00001'$"):
        align(reference, make_scores(values, metric, bounds=bounds))


@pytest.mark.parametrize("metric", ["ttft", "throughput", "peak_memory"])
def test_times_and_sizes_are_no_scores_of_examples(make_scores, metric):
    scores = make_scores([1, 2], metric)
    with pytest.raises(
        MeasurementError, match="is not a score of examples, for 'e00000', 'e00001'"
    ):
        align(scores, scores)


@pytest.mark.parametrize("metric", ["accuracy", "score"])
def test_only_losses_may_weigh_more_than_one(make_scores, metric):
    heavy = make_scores([1, 1], metric, weights=[1, 2])
    with pytest.raises(MeasurementError, match="with weight 1, for 'e00001'"):
        align(heavy, heavy)


@pytest.mark.parametrize("weight", [0.0, -1.0, np.nan, np.inf])
def test_weights_must_be_above_zero(make_scores, weight):
    bad = make_scores([1, 1], "perplexity", weights=[1, weight])
    with pytest.raises(MeasurementError, match="reference has weights that are not above 0 for 'e"):
        align(bad, bad)


def test_unequal_weights_are_refused(make_scores):
    one, other = (make_scores([1, 1], "perplexity", weights=w) for w in ([3, 4], [3, 5]))
    with pytest.raises(UnpairedScoresError, match="weights of reference and variant differ for 'e"):
        align(one, other)


def test_unequal_clusters_are_refused(make_scores):
    one, other = (make_scores([1, 1, 1], clusters=c) for c in ([0, 0, 1], [0, 1, 1]))
    with pytest.raises(UnpairedScoresError, match="clusters of reference and variant differ for"):
        align(one, other)
    with pytest.raises(UnpairedScoresError, match="only one of reference and variant names clust"):
        align(one, make_scores([1, 1, 1]))


def test_unequal_metric_and_bounds_are_refused(make_scores):
    one = make_scores([1, 1], "score", bounds=(0, 1))
    wanted = "bounds differ: (0, 1) for the reference, None for the variant"
    with pytest.raises(UnpairedScoresError, match=re.escape(wanted)):
        align(one, make_scores([1, 1], "score"))
    with pytest.raises(UnpairedScoresError, match="metric differ: 'score' for the reference, 'acc"):
        align(one, make_scores([1, 1], "accuracy"))


def test_clusters_are_counted_from_zero_whatever_their_labels(make_scores):
    scores = make_scores([1] * 4, clusters=[70, -3, 70, 12])
    assert align(scores, scores).clusters.tolist() == [2, 0, 2, 1]


def test_clusters_of_one_example_each_are_no_clusters(make_scores):
    scores = make_scores([1] * 3, clusters=[5, 9, 2])
    assert align(scores, scores).clusters is None


@pytest.mark.parametrize(
    ("values", "metric", "bounds", "is_binary"),
    [
        ([0, 1], "accuracy", None, True),
        ([0, 1], "score", (0, 1), True),
        ([0, 1], "score", (0, 2), False),
        ([0, 1], "score", None, False),
        ([0, 0.5], "score", (0, 1), False),
    ],
)
def test_right_or_wrong_is_seen_by_scale_or_values(make_scores, values, metric, bounds, is_binary):
    scores = make_scores(values, metric, bounds=bounds)
    assert align(scores, scores).is_binary is is_binary

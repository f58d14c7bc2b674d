"""What holds for every verdict: direction, order, names, and the limit do what they should."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from paired_strategies import KINDS, STATISTICS, UNTESTED, decided, pairs, reordered

from pytest_quantcheck.core.limit import Bound, Statistic
from pytest_quantcheck.core.verdict import Outcome

settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=12,
    phases=[Phase.generate],  # examples are small as drawn; shrinking exact tests takes minutes
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("repeatable")

RANKS = {Outcome.FAIL: 0, Outcome.INCONCLUSIVE: 1, Outcome.PASS: 2}
every_kind = pytest.mark.parametrize("name", KINDS)
with_and_without_clusters = pytest.mark.parametrize("is_clustered", [False, True])


def close(first, second):
    return first == pytest.approx(second, rel=1e-9, abs=1e-9, nan_ok=True)


def test_every_statistic_that_is_judged_is_here():
    assert set(Statistic) == STATISTICS | UNTESTED


@every_kind
@with_and_without_clusters
@given(data=st.data())
def test_the_order_of_examples_changes_nothing(name, is_clustered, data):
    kind = KINDS[name]
    pair = data.draw(pairs(kind, is_clustered=is_clustered))
    orders = [data.draw(st.permutations(range(len(pair[0].ids)))) for _ in pair]
    limit = data.draw(st.sampled_from(kind.limits))

    shuffled = [reordered(s, np.array(order)) for s, order in zip(pair, orders, strict=True)]

    assert decided(kind, limit, shuffled) == decided(kind, limit, pair)


@every_kind
@with_and_without_clusters
@given(data=st.data())
def test_names_of_examples_and_clusters_change_nothing(name, is_clustered, data):
    kind = KINDS[name]
    pair = data.draw(pairs(kind, is_clustered=is_clustered))
    n = len(pair[0].ids)
    names = data.draw(st.permutations([f"q{i}" for i in range(n)]))
    labels = np.array(data.draw(st.permutations(range(100, 113))))
    limit = data.draw(st.sampled_from(kind.limits))

    renamed = [reordered(scores, np.arange(n), names=names) for scores in pair]
    if is_clustered:
        renamed = [replace(scores, clusters=labels[scores.clusters]) for scores in renamed]
    first, second = decided(kind, limit, pair), decided(kind, limit, renamed)

    assert (first.outcome, first.reason) == (second.outcome, second.reason)
    assert first.estimate.n_clusters == second.estimate.n_clusters
    for field in ("value", "low", "high", "p_pass", "p_fail"):
        assert close(getattr(first.estimate, field), getattr(second.estimate, field)), field


@every_kind
@with_and_without_clusters
@given(data=st.data())
def test_a_looser_limit_is_never_decided_worse(name, is_clustered, data):
    kind = KINDS[name]
    pair = data.draw(pairs(kind, is_clustered=is_clustered))
    limits = sorted(data.draw(st.sets(st.sampled_from(kind.limits), min_size=2, max_size=4)))
    if decided_bound(kind) is Bound.LOWER:
        limits.reverse()

    ranks = [RANKS[decided(kind, limit, pair).outcome] for limit in limits]

    assert ranks == sorted(ranks)


def decided_bound(kind):
    return Bound.LOWER if kind.keyword.startswith("min_") else Bound.UPPER


DIFFERENCES = ("drop of answers", "rise of faults", "drop of bounded scores",
               "drop of unbounded scores")  # fmt: skip


@pytest.mark.parametrize("name", DIFFERENCES)
@with_and_without_clusters
@given(data=st.data())
def test_swapping_reference_and_variant_flips_the_sign(name, is_clustered, data):
    kind = KINDS[name]
    pair = data.draw(pairs(kind, is_clustered=is_clustered))
    limit = data.draw(st.sampled_from(kind.limits))

    there = decided(kind, limit, pair).estimate
    back = decided(kind, -limit, pair[::-1]).estimate

    assert close(there.value, -back.value)
    assert close((there.low, there.high), (-back.high, -back.low))
    assert close((there.p_pass, there.p_fail), (back.p_fail, back.p_pass))


@with_and_without_clusters
@given(data=st.data())
def test_swapping_reference_and_variant_inverts_a_ratio(is_clustered, data):
    kind = KINDS["perplexity ratio"]
    pair = data.draw(pairs(kind, is_clustered=is_clustered))
    limit = data.draw(st.sampled_from(kind.limits))

    there = decided(kind, limit, pair).estimate
    back = decided(kind, 1 / limit, pair[::-1]).estimate

    assert close(there.value, 1 / back.value)
    assert close((there.low, there.high), (1 / back.high, 1 / back.low if back.low else math.inf))
    assert close((there.p_pass, there.p_fail), (back.p_fail, back.p_pass))


@pytest.mark.parametrize("name", ["recovery of answers", "recovery of scores"])
@with_and_without_clusters
@given(data=st.data())
def test_swapping_reference_and_variant_inverts_a_recovery(name, is_clustered, data):
    kind = KINDS[name]
    pair = data.draw(pairs(kind, is_clustered=is_clustered))
    assume(np.any(pair[1].values > 0))

    there, back = (decided(kind, 0.9, way).estimate for way in (pair, pair[::-1]))

    assert close(there.value, 1 / back.value)


@with_and_without_clusters
@given(data=st.data())
def test_swapping_reference_and_variant_keeps_flips(is_clustered, data):
    kind = KINDS["flips"]
    pair = data.draw(pairs(kind, is_clustered=is_clustered))
    limit = data.draw(st.sampled_from(kind.limits))

    there, back = (decided(kind, limit, way) for way in (pair, pair[::-1]))

    assert there.outcome is back.outcome
    assert replace(there.estimate, counts={}) == replace(back.estimate, counts={})


@with_and_without_clusters
@given(data=st.data())
def test_swapping_reference_and_variant_swaps_levels(is_clustered, data):
    pair = data.draw(pairs(KINDS["level of answers"], is_clustered=is_clustered))
    limit = data.draw(st.sampled_from(KINDS["level of answers"].limits))

    there = decided(KINDS["level of answers"], limit, pair)

    assert decided(KINDS["level of the reference"], limit, pair[::-1]) == there


@every_kind
@with_and_without_clusters
@given(data=st.data())
def test_a_smaller_level_never_decides_more_failures(name, is_clustered, data):
    kind = KINDS[name]
    pair = data.draw(pairs(kind, is_clustered=is_clustered))
    limit = data.draw(st.sampled_from(kind.limits))

    alone, of_many = (decided(kind, limit, pair, family=m).outcome for m in (1, 20))

    assert of_many is alone or (alone, of_many) == (Outcome.FAIL, Outcome.INCONCLUSIVE)

"""Which test suits the mean of real values: ratio mean, bets, a closed form, a rule or none."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pytest_quantcheck.core.verdict import Estimate, Reason
from pytest_quantcheck.stats.betting import (
    betting_p_fail,
    betting_p_pass,
    invert_bets,
    invert_ties,
    tie_p_pass,
)
from pytest_quantcheck.stats.decide import MIN_CLUSTERS, MIN_EXAMPLES, MIN_LOSSES, Evidence
from pytest_quantcheck.stats.inversion import Interval
from pytest_quantcheck.stats.power import level_towards, needed_bets, needed_clusters, round_up
from pytest_quantcheck.stats.ratio_mean import (
    RATIO_MEAN_METHOD,
    ClusterSums,
    RatioMean,
    add_up,
    estimate_ratio_mean,
    observed_effect,
)
from pytest_quantcheck.stats.teeth import chance_for_bets, chance_for_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pytest_quantcheck.core.verdict import Levels

MIN_NONZERO = 20
"""A t-test needs as many differences other than 0."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeanQuestion:
    """Whether the mean of these values, larger being worse, is within the limit."""

    values: NDArray[np.float64]
    """(n,) finite."""
    weights: NDArray[np.float64]
    """(n,) above 0."""
    clusters: NDArray[np.int64] | None
    """(n,) counted from 0; None if each example stands alone."""
    limit: float
    """Mean per weight that is allowed; above -reach."""
    reach: float | None
    """Largest possible absolute value per weight; None if unbounded."""
    losses: int
    """Examples that speak against the variant."""
    counts_ties: bool
    """Whether fewer than 20 values other than 0 are too few even if no value is 0."""
    compares: bool
    """Whether the values are differences, so that 0 means no degradation."""
    levels: Levels
    changed: NDArray[np.bool_] | None = None
    """(n,) whether reference and variant differ; None: wherever the value is not 0."""

    def n_changed(self, scores: ClusterSums) -> int:
        """Return how many clusters tell of a change; `scores` are the values by cluster."""
        if self.changed is None:
            return scores.n_nonzero
        changes = self.changed.astype(np.float64)
        return add_up(changes, np.ones_like(changes), clusters=self.clusters).n_nonzero


@dataclass(frozen=True, slots=True, kw_only=True)
class PValues:
    """One-sided p-values of "at or over the limit" and of "within the limit"."""

    p_pass: float
    p_fail: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    p_pass: float
    p_fail: float
    invert: Callable[[], Interval]
    """Gives the means that neither test rejects."""
    method: str
    untested: Reason | None = None
    needed: Callable[[float], float] | None = None
    """From the level of the test to the number of clusters."""


def examine_mean(question: MeanQuestion) -> Evidence:
    """Return the evidence on a mean, on the scale of the values.

    Notes
    -----
    False PASS of a t-test where 2 % of 50 bounded values differ from 0 is .41 at nominal .05; from
    20 such values on it is about .06. Below that, bounded values are decided by bets (false PASS
    at most .003), all ties by their closed form, and unbounded values not at all. Where all
    values per weight are equal, unbounded values are decided by a rule, without p-values.
    """
    scores = add_up(question.values, question.weights, clusters=question.clusters)
    mean = estimate_ratio_mean(scores)
    answer = _answer(question, scores, mean)
    interval = answer.invert()
    levels, reach = question.levels, question.reach
    is_trivial = reach is not None and question.limit >= reach
    edge = math.inf if reach is None else reach
    falls_short = reach is not None and not question.compares
    is_t_test = answer.method == RATIO_MEAN_METHOD
    estimate = Estimate(
        value=mean.mean,
        low=max(0.0 if falls_short else -edge, interval.low),
        high=min(edge, interval.high),
        confidence_level=levels.confidence_level,
        p_pass=answer.p_pass,
        p_fail=answer.p_fail,
        n=int(question.values.size),
        n_clusters=None if question.clusters is None else scores.n_clusters,
        design_effect=_design_effect(question, scores) if is_t_test else None,
        method=answer.method,
    )
    is_skewable = question.compares and is_t_test
    return Evidence(
        estimate=estimate,
        degradation=mean.mean,
        allowed=question.limit,
        losses=question.losses,
        allows_nothing=question.limit == 0 and (question.compares or reach is not None),
        largest_share=scores.largest_share if is_skewable else 0.0,
        untested=Reason.TRIVIAL_LIMIT if is_trivial else answer.untested,
        plan=lambda: _plan(question, scores, answer, mean=mean.mean),
        chance=lambda true: _chance(question, scores, mean, true),
    )


def _design_effect(question: MeanQuestion, scores: ClusterSums) -> float | None:
    if question.clusters is None:
        return None
    return observed_effect(scores, add_up(question.values, question.weights, clusters=None))


def _chance(
    question: MeanQuestion, scores: ClusterSums, mean: RatioMean, true: float
) -> float | None:
    """Return the chance of FAIL where the mean is `true`, with the spread observed.

    Without a spread, bounded values are taken to be lost whole; unbounded ones do not tell.
    """
    limit, reach, alpha = question.limit, question.reach, question.levels.alpha_fail
    if question.values.size < MIN_LOSSES or (reach is not None and limit >= reach):
        return 0.0
    enough = MIN_NONZERO if question.counts_ties else min(MIN_NONZERO, scores.n_clusters)
    if question.n_changed(scores) >= enough and mean.error > 0:
        return chance_for_mean(mean, limit=limit, true=true, alpha=alpha)
    if reach is None:
        return None
    return chance_for_bets(scores.n_clusters, limit=limit, reach=reach, true=true, alpha=alpha)


def p_values(question: MeanQuestion) -> PValues:
    """Return what `examine_mean` decides by, without its interval."""
    scores = add_up(question.values, question.weights, clusters=question.clusters)
    answer = _answer(question, scores, estimate_ratio_mean(scores))
    return PValues(p_pass=answer.p_pass, p_fail=answer.p_fail)


def _answer(question: MeanQuestion, scores: ClusterSums, mean: RatioMean) -> _Answer:
    enough = MIN_NONZERO if question.counts_ties else min(MIN_NONZERO, scores.n_clusters)
    is_rare = question.n_changed(scores) < enough
    if question.reach is not None:
        has_equal_sizes = bool((scores.sizes == scores.sizes[0]).all())
        if scores.n_nonzero == 0 and has_equal_sizes and question.limit < question.reach:
            return _count_ties(question, scores, reach=question.reach)
        if is_rare or mean.error == 0 or question.limit >= question.reach:
            return _bet(question, scores, reach=question.reach)
    elif mean.error == 0 or is_rare:
        return _refuse(_find_hindrance(question, scores, mean))
    return _t_test(question, scores, mean)


def _find_hindrance(question: MeanQuestion, scores: ClusterSums, mean: RatioMean) -> Reason:
    """Return why no test of these unbounded values is valid."""
    if question.n_changed(scores) == 0 and question.compares:
        return Reason.IDENTICAL_SCORES
    return Reason.CONSTANT_DIFFERENCE if mean.error == 0 else Reason.FEW_NONZERO_DIFFERENCES


def _t_test(question: MeanQuestion, scores: ClusterSums, mean: RatioMean) -> _Answer:
    def needed(alpha: float) -> float:
        return needed_clusters(mean, scores.n_clusters, limit=question.limit, alpha=alpha)

    return _Answer(
        p_pass=mean.p_pass(question.limit),
        p_fail=mean.p_fail(question.limit),
        invert=lambda: mean.invert(alpha=question.levels.alpha_pass),
        method=RATIO_MEAN_METHOD,
        needed=needed if mean.df > 0 else None,
    )


def _bet(question: MeanQuestion, scores: ClusterSums, *, reach: float) -> _Answer:
    limit = question.limit
    is_trivial = limit >= reach

    def needed(alpha: float) -> float:
        return needed_bets(scores, limit=limit, reach=reach, alpha=alpha)

    return _Answer(
        p_pass=0.0 if is_trivial else betting_p_pass(scores, limit=limit, reach=reach),
        p_fail=1.0 if is_trivial else betting_p_fail(scores, limit=limit, reach=reach),
        invert=lambda: invert_bets(scores, reach=reach, alpha=question.levels.alpha_pass),
        method="betting e-value of the bounded mean (mixture of constant bets)",
        needed=needed,
    )


def _count_ties(question: MeanQuestion, scores: ClusterSums, *, reach: float) -> _Answer:
    n, limit = scores.n_clusters, question.limit

    def needed(alpha: float) -> float:
        return math.log(alpha) / math.log1p(-abs(limit) / reach)

    return _Answer(
        p_pass=tie_p_pass(n, limit=limit, reach=reach),
        p_fail=tie_p_pass(n, limit=-limit, reach=reach),
        invert=lambda: invert_ties(n, reach=reach, alpha=question.levels.alpha_pass),
        method="closed form for bounded scores without any difference",
        needed=needed,
    )


def _refuse(reason: Reason) -> _Answer:
    return _Answer(
        p_pass=1.0,
        p_fail=1.0,
        invert=lambda: Interval(low=-math.inf, high=math.inf),
        method="none: unbounded values with too few differences",
        untested=reason,
    )


def _plan(
    question: MeanQuestion, scores: ClusterSums, answer: _Answer, *, mean: float
) -> int | None:
    """Return the examples needed, at as many examples a cluster as now."""
    n = int(question.values.size)
    examples_per_cluster = n / scores.n_clusters
    alpha = level_towards(mean, limit=question.limit, levels=question.levels)
    if alpha is None or answer.needed is None:
        return None
    clusters_at_least = 1 if question.clusters is None else MIN_CLUSTERS
    return round_up(
        answer.needed(alpha) * examples_per_cluster,
        at_least=max(n + 1, MIN_EXAMPLES, math.ceil(clusters_at_least * examples_per_cluster)),
    )


def restate(
    evidence: Evidence,
    to_unit: Callable[[float], float],
    from_unit: Callable[[float], float],
) -> Evidence:
    """Return the evidence with its estimate in another unit; p-values stay."""
    estimate, chance = evidence.estimate, evidence.chance
    low, high = sorted((to_unit(estimate.low), to_unit(estimate.high)))
    return replace(
        evidence,
        estimate=replace(estimate, value=to_unit(estimate.value), low=low, high=high),
        chance=(lambda true: chance(from_unit(true))) if chance else None,
    )

"""Evidence on how far two models' predictions are apart, over tokens that come in documents."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pytest_quantcheck.core.metric import METRICS, Scale
from pytest_quantcheck.core.quantity import Unit, format_count, format_quantity
from pytest_quantcheck.core.verdict import Estimate, Reason
from pytest_quantcheck.stats.decide import MIN_EXAMPLES, Evidence
from pytest_quantcheck.stats.means import restate
from pytest_quantcheck.stats.paired import CheckedScores, check_scores
from pytest_quantcheck.stats.power import level_towards, needed_clusters, round_up
from pytest_quantcheck.stats.ratio_mean import RatioMean, add_up, observed_effect
from pytest_quantcheck.stats.skewed_mean import (
    SKEWED_RATIO_MEAN_METHOD,
    SkewedMean,
    estimate_skewed_ratio_mean,
)
from pytest_quantcheck.stats.teeth import chance_for_mean
from pytest_quantcheck.stats.token_quantile import examine_token_quantile
from pytest_quantcheck.stats.token_share import examine_token_share, share_question

if TYPE_CHECKING:
    from pytest_quantcheck.core.budget import Gate
    from pytest_quantcheck.core.limit import Limit
    from pytest_quantcheck.core.verdict import Levels
    from pytest_quantcheck.stats.scores import ExampleScores

_NO_TEST = "none: every prediction is the reference's"


def examine_divergence(
    limit: Limit, variant: ExampleScores, *, levels: Levels, gate: Gate
) -> Evidence:
    """Return the evidence on a metric that compares two models by itself.

    Parameters
    ----------
    limit : Limit
        On a mean, a quantile, or a share of tokens.
    variant : ExampleScores
        Of documents, against the reference.
    levels : Levels
        The interval has level 1 - 2·alpha_pass.
    gate : Gate
        How much skewness a PASS on a mean may have.

    Notes
    -----
    A document counts as one example, however many tokens it has: those of one text are alike.
    Where every prediction is the reference's bit for bit, PASS is a rule and takes 20 documents.
    """
    scores = check_scores(variant, role="variant")
    match METRICS[variant.metric].scale:
        case Scale.DIVERGENCE:
            evidence = _examine_mean(limit, scores, levels=levels, gate=gate)
        case Scale.QUANTILE:
            evidence = examine_token_quantile(limit, scores, levels=levels)
        case _:
            evidence = _examine_share(limit, scores, levels=levels)
    return _as_identical(evidence) if variant.is_identical else evidence


def _as_identical(evidence: Evidence) -> Evidence:
    """Return the evidence of predictions that nothing tells from the reference's."""
    estimate = replace(
        evidence.estimate, p_pass=1.0, p_fail=1.0, design_effect=None, method=_NO_TEST
    )
    return replace(
        evidence,
        estimate=estimate,
        blocks_pass=None,
        untested=Reason.IDENTICAL_SCORES,
        largest_share=0.0,
        plan=None,
        chance=None,
        note="",
    )


def _examine_mean(limit: Limit, scores: CheckedScores, *, levels: Levels, gate: Gate) -> Evidence:
    """Return the evidence on the mean divergence of a token."""
    by_cluster = add_up(scores.values, scores.weights, clusters=scores.clusters)
    mean = estimate_skewed_ratio_mean(by_cluster, least=0.0)
    alone = add_up(scores.values, scores.weights, clusters=None)
    effect = None if scores.clusters is None else observed_effect(by_cluster, alone)
    interval = mean.invert(alpha=levels.alpha_pass)
    enough, p_pass = mean.examples_for_pass(gate), mean.p_pass(limit.value)
    is_blocked = MIN_EXAMPLES <= mean.n < enough and p_pass <= levels.alpha_pass
    return Evidence(
        estimate=Estimate(
            value=mean.mean,
            low=interval.low,
            high=interval.high,
            confidence_level=levels.confidence_level,
            p_pass=p_pass,
            p_fail=mean.p_fail(limit.value),
            n=scores.n,
            n_clusters=None if scores.clusters is None else by_cluster.n_clusters,
            design_effect=effect,
            method=SKEWED_RATIO_MEAN_METHOD,
        ),
        degradation=mean.mean,
        allowed=limit.value,
        losses=int(np.count_nonzero(scores.values > limit.value * scores.weights)),
        largest_share=mean.largest_share,
        untested=Reason.CONSTANT_DIFFERENCE if mean.deviation == 0 and mean.n > 1 else None,
        blocks_pass=Reason.TOO_SKEWED if is_blocked else None,
        note=_skew_note(mean, enough) if is_blocked else "",
        plan=lambda: _plan_mean(mean, limit, levels, gate, n=scores.n),
        chance=lambda true: _chance_of_mean(mean, limit, true, levels),
    )


def _skew_note(mean: SkewedMean, enough: int) -> str:
    share = format_quantity(mean.largest_share, Unit.FRACTION)
    return (
        f"values so skewed take {format_count(enough)} documents for a PASS, there are "
        f"{format_count(mean.n)}; the largest carries {share} of the total"
    )


def _spread_as(mean: SkewedMean, true: float) -> RatioMean:
    """Return the mean with the error it would have at another one: divergences scale."""
    error = mean.deviation / math.sqrt(mean.n) * true / mean.mean
    return RatioMean(mean=true, error=error, df=mean.n - 1)


def _chance_of_mean(mean: SkewedMean, limit: Limit, true: float, levels: Levels) -> float | None:
    if mean.deviation == 0:
        return None
    spread = _spread_as(mean, true)
    return chance_for_mean(spread, limit=limit.value, true=true, alpha=levels.alpha_fail)


def _plan_mean(mean: SkewedMean, limit: Limit, levels: Levels, gate: Gate, *, n: int) -> int | None:
    alpha = level_towards(mean.mean, limit=limit.value, levels=levels)
    if alpha is None or mean.deviation == 0:
        return None
    needed = needed_clusters(_spread_as(mean, mean.mean), mean.n, limit=limit.value, alpha=alpha)
    if mean.mean < limit.value:
        needed = max(needed, mean.examples_for_pass(gate))
    return round_up(needed * n / mean.n, at_least=max(n + 1, MIN_EXAMPLES))


def _examine_share(limit: Limit, scores: CheckedScores, *, levels: Levels) -> Evidence:
    """Return the evidence on the share of tokens that count, by those that do not."""
    question = share_question(
        scores.weights - scores.values,
        scores.weights,
        clusters=scores.clusters,
        limit=1 - limit.value,
        levels=levels,
    )
    return _within_shares(restate(examine_token_share(question), _complement, _complement))


def _complement(share: float) -> float:
    return 1.0 - share


def _within_shares(evidence: Evidence) -> Evidence:
    estimate = evidence.estimate
    low, high = max(0.0, estimate.low), min(1.0, estimate.high)
    return replace(evidence, estimate=replace(estimate, low=low, high=high))

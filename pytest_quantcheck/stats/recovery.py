"""Evidence on how much of the reference's level the variant keeps: a ratio of paired means."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.stats.binary import LARGEST_EXACT_N, estimate_drop
from pytest_quantcheck.stats.clustered_binary import design_effect, estimate_clustered_drop
from pytest_quantcheck.stats.decide import MIN_EXAMPLES, Evidence
from pytest_quantcheck.stats.inversion import Interval, find_crossing
from pytest_quantcheck.stats.means import MeanQuestion, examine_mean, p_values, restate
from pytest_quantcheck.stats.power import level_towards, needed_pairs, round_up
from pytest_quantcheck.stats.ratio_mean import add_up, estimate_ratio_mean
from pytest_quantcheck.stats.shares import count_pairs
from pytest_quantcheck.stats.tango import PairedCounts
from pytest_quantcheck.stats.teeth import chance_for_mean, chance_for_pairs

if TYPE_CHECKING:
    from pytest_quantcheck.core.limit import Limit
    from pytest_quantcheck.core.verdict import Estimate, Levels
    from pytest_quantcheck.stats.paired import PairedScores
    from pytest_quantcheck.stats.ratio_mean import RatioMean

_EXACT_METHOD = "exact unconditional test on the ratio of paired proportions (score ordering)"
_LARGE_METHOD = "score test on the ratio of paired proportions (Nam-Blackwelder)"
_LARGEST_RATIO = 2.0**20


def examine_recovery(limit: Limit, pairs: PairedScores, *, levels: Levels) -> Evidence:
    """Return the evidence on variant over reference, which is to be at least the limit.

    Raises
    ------
    UsageError
        Scores may be negative, so that a ratio says nothing.
    MeasurementError
        The reference has nothing that could be kept.

    Notes
    -----
    "At least the part r is kept" is linear: the mean of r·reference - variant is at most 0. Scores
    are decided so, where at least 20 changed; with fewer, by bets or not at all. Right and wrong
    answers are not: without a loss that contrast has next to no variance, and a t-test passes for
    lack of it (37 % of the time at n = 100, r = .99, and 7 % at n = 1000, without gains). Only
    examples that either has right carry evidence; among them the limit
    reads P(loss) - r·P(gain) ≤ 1 - r, with one nuisance, and the exact test of a drop applies.
    """
    level = math.fsum(pairs.reference) / pairs.n
    if pairs.bounds is not None and pairs.bounds[0] < 0:
        raise UsageError(
            f"{limit.keyword}: scores within {pairs.bounds} may be negative, and a ratio of such "
            f"means nothing; use max_{pairs.metric.name}_drop"
        )
    if level <= 0:
        raise MeasurementError(
            f"{limit.keyword}: the reference has {pairs.metric.name} {level:g} on these "
            f"{pairs.n} examples, so there is nothing to keep; min_reference_{pairs.metric.name} "
            "says so as a verdict"
        )
    if pairs.is_binary:
        return _examine_right_or_wrong(limit.value, pairs, levels=levels)
    return _examine_scores(limit.value, pairs, levels=levels)


def _examine_right_or_wrong(least: float, pairs: PairedScores, *, levels: Levels) -> Evidence:
    table = count_pairs(pairs)
    lossy, share = 1 - least, 1 - table["neither"] / pairs.n
    counts = PairedCounts(
        losses=table["losses"],
        gains=table["gains"],
        n=pairs.n - table["neither"],
        is_relative=True,
    )
    if pairs.clusters is None:
        effect, mean, estimate = 1.0, None, estimate_drop(counts, limit=lossy, levels=levels)
        method = _EXACT_METHOD if counts.n <= LARGEST_EXACT_N else _LARGE_METHOD
    else:
        contrast = least * pairs.reference - pairs.variant
        by_cluster = add_up(contrast, pairs.weights, clusters=pairs.clusters)
        effect, mean = design_effect(by_cluster, contrast), estimate_ratio_mean(by_cluster)
        estimate = estimate_clustered_drop(
            counts, contrast, clusters=pairs.clusters, limit=lossy, levels=levels
        )
        method = f"{_LARGE_METHOD} with design effect of clusters"
    evidence = Evidence(
        estimate=replace(estimate, n=pairs.n, counts=table, method=method),
        degradation=counts.drop,
        allowed=lossy,
        losses=counts.losses,
        allows_nothing=lossy == 0,
        plan=lambda: _plan(counts, estimate, limit=lossy, levels=levels, per_pair=effect * pairs.n),
        chance=lambda true: (
            chance_for_pairs(counts, limit=lossy, true=true, alpha=levels.alpha_fail)
            if mean is None
            else _chance_in_clusters(mean, share, lossy=lossy, true=true, levels=levels)
        ),
    )
    return restate(evidence, _rest, _rest)


def _chance_in_clusters(
    mean: RatioMean, share: float, *, lossy: float, true: float, levels: Levels
) -> float | None:
    """Return the chance of FAIL where the part `true` is lost; `mean` is that of the contrast.

    The contrast of all examples is that of those which either has right, times their share. The
    error is the one observed, but at least that of independent losses.
    """
    shift = share * (true - lossy)
    widened = replace(
        mean, error=max(mean.error, share * math.sqrt(true * (1 - true)) / max(mean.df, 1.0) ** 0.5)
    )
    return chance_for_mean(widened, limit=0.0, true=shift, alpha=levels.alpha_fail)


def _rest(part: float) -> float:
    return 1 - part


def _plan(
    counts: PairedCounts, estimate: Estimate, *, limit: float, levels: Levels, per_pair: float
) -> int | None:
    """Return the examples needed; `per_pair` of them are needed for all pairs that count."""
    alpha = level_towards(counts.drop, limit=limit, levels=levels)
    if alpha is None:
        return None
    shares = counts.losses / counts.n, counts.gains / counts.n
    needed = needed_pairs(*shares, limit=limit, alpha=alpha, gain_weight=1 - limit)
    return round_up(needed * per_pair / counts.n, at_least=max(estimate.n + 1, MIN_EXAMPLES))


def _examine_scores(least: float, pairs: PairedScores, *, levels: Levels) -> Evidence:
    evidence = examine_mean(_question(least, pairs, levels))
    ratio, interval, chance = _ratio(pairs), _invert(pairs, levels), evidence.chance
    level = math.fsum(pairs.reference) / pairs.n
    return replace(
        evidence,
        estimate=replace(evidence.estimate, value=ratio, low=interval.low, high=interval.high),
        degradation=1 - ratio,
        allowed=1 - least,
        allows_nothing=least == 1,
        chance=(lambda true: chance((least - true) * level)) if chance else None,
    )


def _ratio(pairs: PairedScores) -> float:
    return math.fsum(pairs.variant) / math.fsum(pairs.reference)


def _question(least: float, pairs: PairedScores, levels: Levels) -> MeanQuestion:
    reach = None
    if pairs.bounds is not None:
        low, high = pairs.bounds
        reach = max(high - least * low, least * high - low)
    return MeanQuestion(
        values=least * pairs.reference - pairs.variant,
        weights=pairs.weights,
        clusters=pairs.clusters,
        limit=0.0,
        reach=reach,
        losses=int(np.count_nonzero(pairs.reference > pairs.variant)),
        counts_ties=pairs.clusters is None,
        compares=True,
        levels=levels,
        changed=pairs.reference != pairs.variant,
    )


def _invert(pairs: PairedScores, levels: Levels) -> Interval:
    """Return the ratios that neither test rejects."""

    def kept(ratio: float) -> float:
        return -p_values(_question(ratio, pairs, levels)).p_pass

    def lost(ratio: float) -> float:
        return p_values(_question(ratio, pairs, levels)).p_fail

    alpha, ratio = levels.alpha_pass, _ratio(pairs)
    top = max(ratio, 1.0)
    while lost(top) > alpha and top < _LARGEST_RATIO:
        top *= 2
    return Interval(
        low=find_crossing(kept, -alpha, low=0.0, high=ratio),
        high=find_crossing(lost, alpha, low=ratio, high=top) if top < _LARGEST_RATIO else math.inf,
    )

"""What a limit's statistic asks of the scores, and the evidence that answers it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pytest_quantcheck.core.limit import Bound, Statistic
from pytest_quantcheck.core.metric import Direction, Scale
from pytest_quantcheck.core.verdict import Estimate, Reason
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.stats.decide import Evidence
from pytest_quantcheck.stats.means import MeanQuestion, examine_mean, restate
from pytest_quantcheck.stats.paired import CheckedScores, PairedScores, name_ids
from pytest_quantcheck.stats.shares import ShareQuestion, count_pairs, examine_drop, examine_share

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_quantcheck.core.limit import Limit
    from pytest_quantcheck.core.verdict import Levels


def examine_difference(limit: Limit, pairs: PairedScores, *, levels: Levels) -> Evidence:
    """Return the evidence on the mean change per example, towards worse."""
    if pairs.metric.scale is Scale.NLL:
        raise UsageError(f"{limit.keyword}: {pairs.metric.name} has a ratio, not a difference")
    if (pairs.metric.direction is Direction.LOWER_IS_BETTER) is not (
        limit.statistic is Statistic.RISE
    ):
        raise UsageError(
            f"{limit.keyword}: a drop is of what is better when higher, a rise of the rest"
        )
    pairs = pairs.as_higher_is_better()
    reach = 1.0 if pairs.is_binary else _width(pairs.bounds)
    if reach is not None and limit.value <= -reach:
        raise UsageError(f"{limit.keyword}={limit.value}: no drop lies below {-reach}")
    if pairs.is_binary:
        return examine_drop(pairs, limit=limit.value, levels=levels)
    differences = pairs.reference - pairs.variant
    return examine_mean(
        MeanQuestion(
            values=differences,
            weights=pairs.weights,
            clusters=pairs.clusters,
            limit=limit.value,
            reach=reach,
            losses=int(np.count_nonzero(differences > 0)),
            counts_ties=pairs.clusters is None,
            compares=True,
            levels=levels,
        )
    )


def examine_log_ratio(limit: Limit, pairs: PairedScores, *, levels: Levels) -> Evidence:
    """Return the evidence on the ratio of perplexities."""
    if pairs.metric.scale is not Scale.NLL:
        raise UsageError(f"{limit.keyword}: {pairs.metric.name} has a drop, not a ratio")
    if np.any(np.isinf(pairs.variant)):
        return _report_non_finite(pairs.ids, pairs.variant, clusters=pairs.clusters, levels=levels)
    differences = pairs.variant - pairs.reference
    question = MeanQuestion(
        values=differences,
        weights=pairs.weights,
        clusters=pairs.clusters,
        limit=_log(limit),
        reach=None,
        losses=int(np.count_nonzero(differences > 0)),
        counts_ties=False,
        compares=True,
        levels=levels,
    )
    return restate(examine_mean(question), _exp, math.log)


def examine_flips(limit: Limit, pairs: PairedScores, *, levels: Levels) -> Evidence:
    """Return the evidence on the share of examples whose correctness differs."""
    if not pairs.is_binary:
        raise UsageError(f"{limit.keyword} counts right and wrong answers; see {pairs.metric.name}")
    _check_share(limit)
    evidence = examine_share(
        ShareQuestion(
            hits=pairs.flips(limit.statistic),
            clusters=pairs.clusters,
            limit=limit.value,
            bound=Bound.UPPER,
            levels=levels,
        )
    )
    counts = {**count_pairs(pairs), **evidence.estimate.counts}
    return replace(evidence, estimate=replace(evidence.estimate, counts=counts))


def examine_level(limit: Limit, scores: CheckedScores, *, levels: Levels) -> Evidence:
    """Return the evidence on the metric of one variant alone."""
    if scores.is_binary:
        _check_share(limit)
        return examine_share(
            ShareQuestion(
                hits=scores.values == 1,
                clusters=scores.clusters,
                limit=limit.value,
                bound=limit.bound,
                levels=levels,
            )
        )
    if scores.metric.scale is Scale.NLL:
        if np.any(np.isinf(scores.values)):
            return _report_non_finite(
                scores.ids, scores.values, clusters=scores.clusters, levels=levels
            )
        level = _examine_mean_level(limit, scores, allowed=_log(limit), levels=levels)
        return restate(level, _exp, math.log)
    return _examine_mean_level(limit, scores, allowed=limit.value, levels=levels)


def _examine_mean_level(
    limit: Limit, scores: CheckedScores, *, allowed: float, levels: Levels
) -> Evidence:
    """Return the evidence on a mean, by how far it falls short of the best possible value."""
    sign = 1.0 if limit.bound is Bound.UPPER else -1.0
    best = 0.0 if scores.bounds is None else scores.bounds[0 if limit.bound is Bound.UPPER else 1]
    shortfalls = sign * (scores.values - best)
    evidence = examine_mean(
        MeanQuestion(
            values=shortfalls,
            weights=scores.weights,
            clusters=scores.clusters,
            limit=sign * (allowed - best),
            reach=_width(scores.bounds),
            losses=int(np.count_nonzero(sign * (scores.values - allowed * scores.weights) > 0)),
            counts_ties=scores.metric.scale is Scale.SCORE and scores.clusters is None,
            compares=False,
            levels=levels,
        )
    )
    return restate(
        evidence, lambda shortfall: best + sign * shortfall, lambda value: sign * (value - best)
    )


def _report_non_finite(
    ids: tuple[str, ...],
    values: NDArray[np.float64],
    *,
    clusters: NDArray[np.int64] | None,
    levels: Levels,
) -> Evidence:
    """Return the evidence of a loss that is infinite: so is the mean, and no test is needed."""
    named = [ids[i] for i in np.flatnonzero(np.isinf(values))]
    estimate = Estimate(
        value=math.inf,
        low=math.inf,
        high=math.inf,
        confidence_level=levels.confidence_level,
        p_pass=1.0,
        p_fail=0.0,
        n=len(ids),
        n_clusters=None if clusters is None else int(np.max(clusters)) + 1,
        method="none: the mean is infinite",
    )
    return Evidence(
        estimate=estimate,
        degradation=math.inf,
        allowed=math.inf,
        losses=len(named),
        untested=Reason.NON_FINITE,
        note=f"the variant's loss is infinite for {name_ids(named)}",
    )


def _check_share(limit: Limit) -> None:
    if limit.value < 0 or (limit.bound is Bound.LOWER and limit.value > 1):
        raise UsageError(f"{limit.keyword}={limit.value}: give a fraction in [0, 1]")


def _width(bounds: tuple[float, float] | None) -> float | None:
    return None if bounds is None else float(bounds[1] - bounds[0])


def _log(limit: Limit) -> float:
    if limit.value <= 0:
        raise UsageError(f"{limit.keyword}={limit.value}: give a number above 0")
    return math.log(limit.value)


def _exp(nats: float) -> float:
    with np.errstate(over="ignore"):
        return float(np.exp(nats))

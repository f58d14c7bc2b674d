"""Evidence on right-or-wrong examples: drops, flips and levels, clustered or not."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pytest_quantcheck.core.limit import Bound
from pytest_quantcheck.core.verdict import Estimate, Reason
from pytest_quantcheck.stats.binary import estimate_drop
from pytest_quantcheck.stats.clustered_binary import design_effect, estimate_clustered_drop
from pytest_quantcheck.stats.decide import MIN_CLUSTERS, MIN_EXAMPLES, Evidence
from pytest_quantcheck.stats.power import (
    level_towards,
    needed_clusters,
    needed_for_share,
    needed_pairs,
    round_up,
)
from pytest_quantcheck.stats.proportion import (
    MIN_MIXED_CLUSTERS,
    estimate_share,
    estimate_whole_clusters,
    has_equal_sizes,
    is_mixed,
    widen_share,
)
from pytest_quantcheck.stats.ratio_mean import (
    RatioMean,
    add_up,
    estimate_ratio_mean,
    observed_effect,
)
from pytest_quantcheck.stats.tango import PairedCounts
from pytest_quantcheck.stats.teeth import chance_for_mean, chance_for_pairs, chance_for_share

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_quantcheck.core.verdict import Levels
    from pytest_quantcheck.stats.paired import PairedScores


def examine_drop(pairs: PairedScores, *, limit: float, levels: Levels) -> Evidence:
    """Return the evidence on the drop of the share of right answers.

    Parameters
    ----------
    pairs : PairedScores
        Every value 0 or 1.
    limit : float
        Largest allowed drop, a fraction above -1.
    levels : Levels
        Of the tests.
    """
    differences = pairs.reference - pairs.variant
    table = count_pairs(pairs)
    counts = PairedCounts(losses=table["losses"], gains=table["gains"], n=pairs.n)
    if pairs.clusters is None or limit >= 1:
        effect, mean, estimate = 1.0, None, estimate_drop(counts, limit=limit, levels=levels)
    else:
        by_cluster = add_up(differences, pairs.weights, clusters=pairs.clusters)
        effect, mean = design_effect(by_cluster, differences), estimate_ratio_mean(by_cluster)
        estimate = estimate_clustered_drop(
            counts, differences, clusters=pairs.clusters, limit=limit, levels=levels
        )
    losable = (table["losses"] + table["both"] - table["gains"]) / pairs.n
    return Evidence(
        estimate=replace(estimate, counts=table),
        degradation=estimate.value,
        allowed=limit,
        losses=counts.losses,
        allows_nothing=limit == 0,
        untested=Reason.TRIVIAL_LIMIT if limit >= 1 else None,
        plan=lambda: _plan_drop(counts, estimate, limit=limit, levels=levels, effect=effect),
        chance=lambda true: _chance_for_drop(
            counts, mean, limit=limit, true=min(true, losable), alpha=levels.alpha_fail
        ),
    )


def _chance_for_drop(
    counts: PairedCounts, mean: RatioMean | None, *, limit: float, true: float, alpha: float
) -> float | None:
    """Return the chance of FAIL for right or wrong answers; `mean` is theirs, if clustered.

    Notes
    -----
    In clusters the t-test with the error observed, but at least the binomial one of the true drop.
    No more can be lost than the reference has.
    """
    if limit >= 1:
        return 0.0
    if mean is None:
        return chance_for_pairs(counts, limit=limit, true=true, alpha=alpha)
    least = math.sqrt(max(true * (1 - true), 0.0) / counts.n)
    widened = replace(mean, error=max(mean.error, least)) if mean.df > 0 else mean
    return chance_for_mean(widened, limit=limit, true=true, alpha=alpha)


def count_pairs(pairs: PairedScores) -> dict[str, int]:
    """Return how many examples are lost, gained, right in both and right in neither."""
    right, right_now = pairs.reference == 1, pairs.variant == 1
    return {
        "losses": int(np.count_nonzero(right & ~right_now)),
        "gains": int(np.count_nonzero(~right & right_now)),
        "both": int(np.count_nonzero(right & right_now)),
        "neither": int(np.count_nonzero(~right & ~right_now)),
    }


def _plan_drop(
    counts: PairedCounts, estimate: Estimate, *, limit: float, levels: Levels, effect: float
) -> int | None:
    alpha = level_towards(counts.drop, limit=limit, levels=levels)
    if alpha is None:
        return None
    n = counts.n
    needed = needed_pairs(counts.losses / n, counts.gains / n, limit=limit, alpha=alpha)
    return round_up(needed * effect, at_least=_least(estimate))


def _least(estimate: Estimate) -> int:
    """Return the examples below which no INCONCLUSIVE can change."""
    at_least = max(estimate.n + 1, MIN_EXAMPLES)
    if estimate.n_clusters is None:
        return at_least
    return max(at_least, math.ceil(MIN_CLUSTERS * estimate.n / estimate.n_clusters))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShareQuestion:
    """Whether a share of examples is within the limit."""

    hits: NDArray[np.bool_]
    """(n,) whether an example counts."""
    clusters: NDArray[np.int64] | None
    """(n,) counted from 0; None if each example stands alone."""
    limit: float
    """A fraction in [0, 1]."""
    bound: Bound
    """UPPER for a share that is bad, LOWER for one that is good."""
    levels: Levels


def examine_share(question: ShareQuestion) -> Evidence:
    """Return the evidence on a share of examples.

    Notes
    -----
    Examples that stand alone are tested by the binomial, exactly. Clusters are tested by a t-test
    of the ratio mean, which needs 20 clusters with a hit and 20 with a miss; with fewer, clusters
    of one size are tested as wholes, and others not at all.
    """
    n_hits, n, limit = int(np.count_nonzero(question.hits)), question.hits.size, question.limit
    bound = question.bound
    is_upper = bound is Bound.UPPER
    estimate = estimate_share(n_hits, n, limit=limit, bound=bound, levels=question.levels)
    untested, mean, are_whole = None, None, False
    if question.clusters is not None:
        by_cluster = add_up(
            question.hits.astype(np.float64), np.ones(n), clusters=question.clusters
        )
        mean = estimate_ratio_mean(by_cluster) if is_mixed(by_cluster) else None
        are_whole = mean is None and has_equal_sizes(by_cluster)
        if are_whole:
            estimate = estimate_whole_clusters(estimate, by_cluster, limit=limit, bound=bound)
        else:
            untested = Reason.FEW_NONZERO_DIFFERENCES if mean is None else None
            estimate = widen_share(estimate, by_cluster, mean=mean, limit=limit, bound=bound)
            alone = add_up(question.hits.astype(np.float64), np.ones(n), clusters=None)
            effect = observed_effect(by_cluster, alone) if mean else None
            estimate = replace(estimate, design_effect=effect)
    if (limit >= 1) if is_upper else (limit <= 0):
        estimate, untested = replace(estimate, p_pass=0.0, p_fail=1.0), Reason.TRIVIAL_LIMIT
    return Evidence(
        estimate=estimate,
        degradation=estimate.value if is_upper else -estimate.value,
        allowed=limit if is_upper else -limit,
        losses=n_hits if is_upper else n - n_hits,
        allows_nothing=limit == (0 if is_upper else 1),
        untested=untested,
        plan=lambda: _plan_share(question, estimate, mean),
        chance=lambda true: _chance_for_share(
            question, estimate, mean=mean, are_whole=are_whole, true=true
        ),
    )


def _chance_for_share(
    question: ShareQuestion,
    estimate: Estimate,
    *,
    mean: RatioMean | None,
    are_whole: bool,
    true: float,
) -> float | None:
    """Return the chance of FAIL; `are_whole` clusters count as one example each."""
    limit, alpha, n = question.limit, question.levels.alpha_fail, estimate.n
    is_upper = question.bound is Bound.UPPER
    if (limit >= 1) if is_upper else (limit <= 0):
        return 0.0
    if estimate.n_clusters is None or are_whole:
        n = estimate.n_clusters or n
        return chance_for_share(n, limit=limit, true=true, alpha=alpha, bound=question.bound)
    if mean is None:
        return 0.0 if estimate.n_clusters < MIN_MIXED_CLUSTERS else None
    least = math.sqrt(true * (1 - true) / n)
    widened = replace(mean, error=max(mean.error, least))
    sign = 1 if is_upper else -1
    return chance_for_mean(widened, limit=sign * limit, true=sign * true, alpha=alpha)


def _plan_share(question: ShareQuestion, estimate: Estimate, mean: RatioMean | None) -> int | None:
    sign = 1 if question.bound is Bound.UPPER else -1
    limit = question.limit
    alpha = level_towards(sign * estimate.value, limit=sign * limit, levels=question.levels)
    if alpha is None or not 0 < limit < 1:
        return None
    if estimate.n_clusters is None:
        needed = needed_for_share(estimate.value, limit=limit, alpha=alpha)
    elif mean is None:
        return None
    else:
        clusters = needed_clusters(mean, estimate.n_clusters, limit=limit, alpha=alpha)
        needed = clusters * estimate.n / estimate.n_clusters
    return round_up(needed, at_least=_least(estimate))

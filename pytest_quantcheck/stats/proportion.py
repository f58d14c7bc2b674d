"""Exact test of one share against a limit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from pytest_quantcheck.core.limit import Bound
from pytest_quantcheck.core.verdict import Estimate
from pytest_quantcheck.stats.inversion import Interval
from pytest_quantcheck.stats.ratio_mean import RATIO_MEAN_METHOD

if TYPE_CHECKING:
    from pytest_quantcheck.core.verdict import Levels
    from pytest_quantcheck.stats.ratio_mean import ClusterSums, RatioMean

MIN_MIXED_CLUSTERS = 20
"""A t-test of a share in clusters needs as many with a hit, and with a miss."""


def clopper_pearson(hits: int, n: int, *, alpha: float) -> Interval:
    """Return the shares that neither one-sided binomial test rejects at level `alpha`.

    References
    ----------
    C. J. Clopper, E. S. Pearson, Biometrika 26 (1934) 404. Agrees with the R package
    `contingencytables` to the digits it prints.
    """
    return Interval(
        low=float(special.betaincinv(hits, n - hits + 1, alpha)) if hits > 0 else 0.0,
        high=float(special.betaincinv(hits + 1, n - hits, 1 - alpha)) if hits < n else 1.0,
    )


def p_at_most(hits: int, n: int, *, share: float) -> float:
    """Return P(Bin(n, share) ≤ hits)."""
    return float(special.bdtr(float(hits), n, share))


def p_at_least(hits: int, n: int, *, share: float) -> float:
    """Return P(Bin(n, share) ≥ hits)."""
    return float(special.bdtrc(float(hits - 1), n, share)) if hits > 0 else 1.0


def estimate_share(hits: int, n: int, *, limit: float, bound: Bound, levels: Levels) -> Estimate:
    """Return a share with its exact interval and both p-values.

    Parameters
    ----------
    hits, n : int
        Examples counted, and examples in all; n at least 1.
    limit : float
        A fraction in [0, 1].
    bound : Bound
        UPPER: PASS shows a share below the limit. LOWER: PASS shows one above it.
    levels : Levels
        The interval has level 1 - 2·alpha_pass.
    """
    interval = clopper_pearson(hits, n, alpha=levels.alpha_pass)
    below, above = p_at_most(hits, n, share=limit), p_at_least(hits, n, share=limit)
    is_upper = bound is Bound.UPPER
    return Estimate(
        value=hits / n,
        low=interval.low,
        high=interval.high,
        confidence_level=levels.confidence_level,
        p_pass=below if is_upper else above,
        p_fail=above if is_upper else below,
        n=n,
        n_clusters=None,
        method="exact binomial test (Clopper-Pearson interval)",
        counts={"hits": hits},
    )


def is_mixed(by_cluster: ClusterSums) -> bool:
    """Return whether 20 clusters have a hit and 20 a miss, as a t-test needs."""
    with_hit = np.count_nonzero(by_cluster.sums > 0)
    with_miss = np.count_nonzero(by_cluster.sums < by_cluster.sizes)
    return bool(min(with_hit, with_miss) >= MIN_MIXED_CLUSTERS)


def has_equal_sizes(by_cluster: ClusterSums) -> bool:
    """Return whether all clusters are of one size, as the samples of prompts are."""
    return bool(np.all(by_cluster.sizes == by_cluster.sizes[0]))


def estimate_whole_clusters(
    estimate: Estimate, by_cluster: ClusterSums, *, limit: float, bound: Bound
) -> Estimate:
    """Return the estimate of a share where every cluster counts as one example.

    Parameters
    ----------
    estimate : Estimate
        From examples taken to stand alone.
    by_cluster : ClusterSums
        Hits and examples of each cluster, all of one size.
    limit, bound : float, Bound
        As for `estimate_share`.

    Notes
    -----
    The mean share of a cluster is at most the probability that it has a hit, and at least the
    probability that it has no miss. The binomial tests of these two are exact whatever the
    correlation, and conservative where there is less than all.
    """
    n = by_cluster.n_clusters
    with_hit = int(np.count_nonzero(by_cluster.sums > 0))
    without_miss = int(np.count_nonzero(by_cluster.sums == by_cluster.sizes))
    alpha = (1 - estimate.confidence_level) / 2
    below = p_at_most(with_hit, n, share=limit)
    above = p_at_least(without_miss, n, share=limit)
    is_upper = bound is Bound.UPPER
    return replace(
        estimate,
        low=clopper_pearson(without_miss, n, alpha=alpha).low,
        high=clopper_pearson(with_hit, n, alpha=alpha).high,
        p_pass=below if is_upper else above,
        p_fail=above if is_upper else below,
        n_clusters=n,
        method="exact binomial test of clusters with a hit, and without a miss",
    )


def widen_share(
    estimate: Estimate,
    by_cluster: ClusterSums,
    *,
    mean: RatioMean | None,
    limit: float,
    bound: Bound,
) -> Estimate:
    """Return the estimate of a share as clusters allow it.

    Parameters
    ----------
    estimate : Estimate
        From examples taken to stand alone.
    by_cluster : ClusterSums
        Hits and examples of each cluster.
    mean : RatioMean | None
        Their ratio mean; None if no test is valid: [0, 1] and p-values of 1.
    limit, bound : float, Bound
        As for `estimate_share`.
    """
    estimate = replace(estimate, n_clusters=by_cluster.n_clusters)
    if mean is None:
        method = "none: fewer than 20 clusters with a hit, or with a miss"
        return replace(estimate, low=0.0, high=1.0, p_pass=1.0, p_fail=1.0, method=method)
    interval = mean.invert(alpha=(1 - estimate.confidence_level) / 2)
    below, above = mean.p_pass(limit), mean.p_fail(limit)
    is_upper = bound is Bound.UPPER
    return replace(
        estimate,
        low=max(0.0, interval.low),
        high=min(1.0, interval.high),
        p_pass=below if is_upper else above,
        p_fail=above if is_upper else below,
        method=RATIO_MEAN_METHOD,
    )

"""Paired test of right-or-wrong examples that come in clusters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from pytest_quantcheck.core.verdict import Estimate
from pytest_quantcheck.stats.inversion import Interval, student_quantile
from pytest_quantcheck.stats.ratio_mean import (
    ClusterSums,
    add_up,
    estimate_ratio_mean,
    observed_effect,
)
from pytest_quantcheck.stats.tango import observed_z, tango_interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_quantcheck.core.verdict import Levels
    from pytest_quantcheck.stats.tango import PairedCounts

_SMALLEST_ICC = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusteredScore:
    """Tango's statistic widened for clusters, against every limit."""

    counts: PairedCounts
    root: float
    """Square root of the design effect, at least 1."""
    df: float
    """Bell-McCaffrey degrees of freedom; 0 for one cluster."""

    def p_pass(self, limit: float) -> float:
        """Return the p-value of "the drop is `limit` or more"; 1 for one cluster."""
        return self._p(limit, towards=1.0)

    def p_fail(self, limit: float) -> float:
        """Return the p-value of "the drop is `limit` or less"; 1 for one cluster."""
        return self._p(limit, towards=-1.0)

    def _p(self, limit: float, *, towards: float) -> float:
        if self.df <= 0:
            return 1.0
        t = float(observed_z(self.counts, limit)) / self.root
        return float(special.stdtr(self.df, towards * t))

    def invert(self, *, alpha: float) -> Interval:
        """Return the drops that neither test rejects at level `alpha`; all for one cluster."""
        if self.df <= 0:
            return Interval(low=-1.0, high=1.0)
        quantile = student_quantile(alpha, df=self.df) * self.root
        return tango_interval(self.counts, quantile=quantile)


def score_clusters(
    counts: PairedCounts, differences: NDArray[np.float64], *, clusters: NDArray[np.int64]
) -> ClusteredScore:
    """Return the test of a drop, widened for clusters; see `estimate_clustered_drop`."""
    by_cluster = add_up(differences, np.ones_like(differences), clusters=clusters)
    return ClusteredScore(
        counts=counts,
        root=math.sqrt(design_effect(by_cluster, differences)),
        df=estimate_ratio_mean(by_cluster).df,
    )


def estimate_clustered_drop(
    counts: PairedCounts,
    differences: NDArray[np.float64],
    *,
    clusters: NDArray[np.int64],
    limit: float,
    levels: Levels,
) -> Estimate:
    """Return the drop of the share of right answers with an interval widened for clusters.

    Parameters
    ----------
    counts : PairedCounts
        Losses and gains among all examples.
    differences : NDArray[np.float64]
        (n,) reference minus variant: -1, 0 or 1; for a relative drop their contrast.
    clusters : NDArray[np.int64]
        (n,) counted from 0 without gaps.
    limit : float
        Largest allowed drop, a fraction in (-1, 1).
    levels : Levels
        The interval has level 1 - 2·alpha_pass.

    Notes
    -----
    Tango's statistic over the root of the design effect, against Student's t with the
    Bell-McCaffrey degrees of freedom. One cluster tells nothing: both p-values are 1. False PASS
    at the limit, nominal .05, for losses of 2 % and gains of 1 %: .005, .027, .050 and .060 for
    20 clusters of 198 examples in all, 50 of 494, 200 of 1,984 and 200 of 6,593.

    References
    ----------
    See `tango.score_z` and `ratio_mean.estimate_ratio_mean`.
    """
    score = score_clusters(counts, differences, clusters=clusters)
    interval = score.invert(alpha=levels.alpha_pass)
    return Estimate(
        value=counts.drop,
        low=interval.low,
        high=interval.high,
        confidence_level=levels.confidence_level,
        p_pass=score.p_pass(limit),
        p_fail=score.p_fail(limit),
        n=counts.n,
        n_clusters=int(np.max(clusters)) + 1,
        design_effect=score.root**2 if score.df > 0 else None,
        method="score test on paired proportions (Tango) with design effect of clusters",
    )


def design_effect(by_cluster: ClusterSums, differences: NDArray[np.float64]) -> float:
    """Return by how much clusters inflate the variance of a mean of examples.

    Parameters
    ----------
    by_cluster : ClusterSums
        The differences and the number of examples of each cluster.
    differences : NDArray[np.float64]
        (n,) the same differences, one by one.

    Returns
    -------
    float
        At least 1, and at least what an intra-cluster correlation of 0.05 gives: few losses tell
        little of their correlation. The floor is a convention, not a bound. No difference at all
        tells nothing: each cluster then counts as one example.
    """
    alone = add_up(differences, np.ones_like(differences), clusters=None)
    example_size = math.fsum(by_cluster.sizes**2) / by_cluster.total_size
    if estimate_ratio_mean(alone).error == 0:
        return example_size
    assumed = 1 + (example_size - 1) * _SMALLEST_ICC
    return max(1.0, assumed, observed_effect(by_cluster, alone) or 1.0)

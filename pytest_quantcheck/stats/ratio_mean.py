"""Mean per weight of clustered examples, with a standard error that few clusters do not break."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from pytest_quantcheck.stats.inversion import Interval, student_quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATIO_MEAN_METHOD = "t-test of the ratio mean (CR2 standard error, Bell-McCaffrey df)"
_UNDERFLOW = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClusterSums:
    """Examples added up within clusters; an example that stands alone is a cluster."""

    sums: NDArray[np.float64]
    """(g,) sum of the values, finite."""
    sizes: NDArray[np.float64]
    """(g,) sum of the weights, above 0."""

    @property
    def n_clusters(self) -> int:
        """Number of clusters."""
        return int(self.sums.size)

    @property
    def n_nonzero(self) -> int:
        """Number of clusters whose sum is not 0."""
        return int(np.count_nonzero(self.sums))

    @property
    def total_size(self) -> float:
        """Sum of all weights."""
        return math.fsum(self.sizes)

    @property
    def largest_share(self) -> float:
        """Share of the largest cluster in the sum of absolute values; 0 where all are 0."""
        absolute = np.abs(self.sums)
        total = math.fsum(absolute)
        return float(np.max(absolute)) / total if total > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioMean:
    """A mean with its standard error and degrees of freedom."""

    mean: float
    error: float
    """CR2 standard error; 0 where no example departs from the mean; NaN for one cluster."""
    df: float
    """Bell-McCaffrey degrees of freedom; 0 for one cluster."""

    def p_pass(self, limit: float) -> float:
        """Return the p-value of "the mean is `limit` or more"; 1 for one cluster."""
        return self._p(self.mean - limit)

    def p_fail(self, limit: float) -> float:
        """Return the p-value of "the mean is `limit` or less"; 1 for one cluster."""
        return self._p(limit - self.mean)

    def _p(self, excess: float) -> float:
        return float(special.stdtr(self.df, excess / self.error)) if self.df > 0 else 1.0

    def invert(self, *, alpha: float) -> Interval:
        """Return the means that neither test rejects at level `alpha`; all for one cluster."""
        if self.df <= 0:
            return Interval(low=-math.inf, high=math.inf)
        half_width = student_quantile(alpha, df=self.df) * self.error
        return Interval(low=self.mean - half_width, high=self.mean + half_width)


def add_up(
    values: NDArray[np.float64],
    weights: NDArray[np.float64],
    *,
    clusters: NDArray[np.int64] | None,
) -> ClusterSums:
    """Add up values and weights within each cluster.

    Parameters
    ----------
    values : NDArray[np.float64]
        (n,) finite.
    weights : NDArray[np.float64]
        (n,) above 0.
    clusters : NDArray[np.int64] | None
        (n,) counted from 0 without gaps; None if each example stands alone.
    """
    if clusters is None:
        return ClusterSums(sums=values, sizes=weights)
    sums, sizes = (
        np.bincount(clusters, weights=one).astype(np.float64) for one in (values, weights)
    )
    return ClusterSums(sums=sums, sizes=sizes)


def estimate_ratio_mean(cluster_sums: ClusterSums) -> RatioMean:
    """Return the sum of all values over the sum of all weights, with its error.

    Parameters
    ----------
    cluster_sums : ClusterSums
        At least one cluster.

    Notes
    -----
    With residuals u = S - mean·m and leverages h = m / Σm, the CR2 variance is
    Σ u²/(1 - h) / (Σm)². The degrees of freedom match the first two moments of that variance
    under equal independent examples. Equal weights without clusters give the one-sample t-test.
    A standard error below 1e-12 of the largest value per weight (or of 1) is rounding, and 0.

    References
    ----------
    R. M. Bell, D. F. McCaffrey, Survey Methodology 28 (2002) 169.
    E. Miller, "Adding Error Bars to Evals", arXiv:2411.00640.
    Agrees with the matrix formula, and without the factor 1/(1 - h) with the cluster-robust
    error of statsmodels, to 1e-9.
    """
    sums, sizes = cluster_sums.sums, cluster_sums.sizes
    total = cluster_sums.total_size
    mean = math.fsum(sums) / total
    if cluster_sums.n_clusters == 1:
        return RatioMean(mean=mean, error=math.nan, df=0.0)
    kept = 1 - sizes / total
    error = math.sqrt(math.fsum((sums - mean * sizes) ** 2 / kept)) / total
    if error < _UNDERFLOW * max(1.0, float(np.max(np.abs(sums / sizes)))):
        error = 0.0
    return RatioMean(mean=mean, error=error, df=_degrees_of_freedom(sizes, total=total))


def observed_effect(by_cluster: ClusterSums, alone: ClusterSums) -> float | None:
    """Return the variance of a ratio mean in clusters over that of the same examples alone.

    None where no example departs from the mean, and for one cluster.
    """
    error = estimate_ratio_mean(alone).error
    if by_cluster.n_clusters == 1 or not error > 0:
        return None
    return (estimate_ratio_mean(by_cluster).error / error) ** 2


def _degrees_of_freedom(sizes: NDArray[np.float64], *, total: float) -> float:
    kept = 1 - sizes / total
    a = sizes / kept
    w_squared = sizes**2 / kept
    trace = math.fsum(a) - math.fsum(w_squared) / total
    trace_of_square = (
        math.fsum(a * a)
        - 2 * math.fsum(a * w_squared) / total
        + (math.fsum(w_squared) / total) ** 2
    )
    return trace**2 / trace_of_square

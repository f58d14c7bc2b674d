"""Mean of skewed values after Hall's transform; for limits on a mean divergence, such as KL."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

import numpy as np
from scipy import special

from pytest_quantcheck.core.budget import Gate
from pytest_quantcheck.stats.inversion import Interval, student_quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_quantcheck.stats.ratio_mean import ClusterSums

SKEWED_RATIO_MEAN_METHOD = "ratio mean after Hall's transform"

_STRAIGHT = 1e-6
_UNDERFLOW = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class SkewedMean:
    """A mean with the moments that Hall's transform needs."""

    mean: float
    deviation: float
    """Standard deviation with divisor n; 0 where all values agree or there is one: no test."""
    skewness: float
    """Third central moment over the cube of `deviation`; NaN without deviation."""
    n: int
    largest_share: float
    """Part of the sum that the largest value carries; 0 where all are 0."""
    least: float = 0.0
    """No mean lies below."""
    rate_skewness: float = 0.0
    """Skewness of the clusters' own means, where they differ in size; the rule on the number of
    examples goes by the larger of the two."""

    def p_pass(self, limit: float) -> float:
        """Return the p-value of "the mean is `limit` or more"; 1 without deviation."""
        return self._p(limit, towards=1.0)

    def p_fail(self, limit: float) -> float:
        """Return the p-value of "the mean is `limit` or less"; 1 without deviation."""
        return self._p(limit, towards=-1.0)

    def _p(self, limit: float, *, towards: float) -> float:
        if self.deviation == 0:
            return 1.0
        return float(special.stdtr(self.n - 1, towards * self.transform(limit)))

    def transform(self, limit: float) -> float:
        """Return Hall's T, which rises as `limit` falls; it needs a deviation."""
        w, g = (self.mean - limit) / self.deviation, self.skewness
        return math.sqrt(self.n) * (w + g * w**2 / 3 + g**2 * w**3 / 27 + g / (6 * self.n))

    def invert(self, *, alpha: float) -> Interval:
        """Return the means that neither test rejects at level `alpha`; all without deviation."""
        if self.deviation == 0:
            return Interval(low=self.least, high=math.inf)
        quantile = student_quantile(alpha, df=self.n - 1)
        return Interval(
            low=max(self.least, self._limit_at(quantile)),
            high=max(self.least, self._limit_at(-quantile)),
        )

    def _limit_at(self, transformed: float) -> float:
        """Return the limit at which Hall's T has this value: (1 + g·w/3)³ is linear in T."""
        g = self.skewness
        y = transformed / math.sqrt(self.n) - g / (6 * self.n)
        w = 3 * (math.cbrt(1 + g * y) - 1) / g if abs(g * y) > _STRAIGHT else y - g * y**2 / 3
        return self.mean - self.deviation * w

    def examples_for_pass(self, gate: Gate) -> int:
        """Return how many examples of this skewness PASS needs: 25·g², under regression 10·g².

        Notes
        -----
        Fewer examples are too likely to lack the rare large values that make up the mean. Without
        deviation the skewness is unknown and the rule says nothing: there is no test either.
        """
        if self.deviation == 0:
            return 1
        largest = max(abs(self.skewness), abs(self.rate_skewness))
        return math.ceil(_examples_per_squared_skewness(gate) * largest**2)


def _examples_per_squared_skewness(gate: Gate) -> float:
    match gate:
        case Gate.STRICT:
            return 25.0
        case Gate.REGRESSION:
            return 10.0
        case _:
            assert_never(gate)


def estimate_skewed_ratio_mean(by_cluster: ClusterSums, *, least: float) -> SkewedMean:
    """Return the mean per weight with its skewness, for Hall's test.

    Parameters
    ----------
    by_cluster : ClusterSums
        Of each document or cluster the sum of its values and the number of its tokens; never the
        tokens themselves.
    least : float
        No mean lies below: 0 for a divergence, -inf for a difference.

    Notes
    -----
    Each cluster stands for mean + (sum - mean·size)/(mean size), whose mean is the ratio mean:
    where all are of one size that is its own mean. With w = (mean - limit)/s, s with divisor n and
    g the skewness, T = √n·(w + g·w²/3 + g²·w³/27 + g/(6n)) is compared with Student's t with n - 1
    degrees of freedom. T is monotone in the limit, so its interval has a closed form.

    PASS takes a small p-value and `examples_for_pass` examples. That rule is Cochran's n ≥ 25·g²;
    it is a convention, not a theorem, and the error rates with it are measured. It goes by the
    skewness of these values, or of the clusters' own means if that is larger. Measured against the
    t-test of the ratio mean under the rule of the latter alone, where divergence grows with length:
    false PASS .073 for .113, 300 documents of log-normal lengths and divergences (0.7 and 0.6,
    correlation .5), nominal .05.

    References
    ----------
    P. Hall, J. R. Stat. Soc. B 54 (1992) 221: the transformation. W. G. Cochran, "Sampling
    Techniques", 3rd ed. (1977), section 2.15: the rule. Agrees with an independent computation
    to 1e-9, and with the one-sample t-test of scipy where the skewness is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from pytest_quantcheck.core.budget import Gate
    >>> from pytest_quantcheck.stats.ratio_mean import ClusterSums
    >>> values = np.array([0.01, 0.02, 0.02, 0.05, 0.01, 0.03])
    >>> found = estimate_skewed_ratio_mean(ClusterSums(sums=values, sizes=np.ones(6)), least=0.0)
    >>> round(found.mean, 4), round(found.p_pass(0.05), 4), found.examples_for_pass(Gate.STRICT)
    (0.0233, 0.0305, 22)
    """
    sums, sizes, n = by_cluster.sums, by_cluster.sizes, by_cluster.n_clusters
    total = by_cluster.total_size
    mean, rates = math.fsum(sums) / total, sums / sizes
    departures = (sums - mean * sizes) / (total / n)
    deviation = math.sqrt(math.fsum(departures**2) / n)
    if deviation <= _UNDERFLOW * float(np.max(np.abs(rates))):
        deviation = 0.0
    has_equal_sizes = bool(np.all(sizes == sizes[0]))
    return SkewedMean(
        mean=mean,
        deviation=deviation,
        skewness=math.fsum((departures / deviation) ** 3) / n if deviation > 0 else math.nan,
        n=n,
        largest_share=by_cluster.largest_share,
        least=least,
        rate_skewness=0.0 if has_equal_sizes else _skewness(rates),
    )


def _skewness(values: NDArray[np.float64]) -> float:
    departures = values - float(np.mean(values))
    deviation = math.sqrt(math.fsum(departures**2) / values.size)
    return math.fsum((departures / deviation) ** 3) / values.size if deviation > 0 else 0.0

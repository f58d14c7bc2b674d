"""How many examples a verdict needs: 80 % power where the truth equals the estimate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from pytest_quantcheck.core.limit import Bound
from pytest_quantcheck.stats.betting import log_capitals, negate
from pytest_quantcheck.stats.inversion import normal_quantile, student_quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_quantcheck.core.limit import Limit
    from pytest_quantcheck.core.verdict import Levels, Verdict
    from pytest_quantcheck.stats.ratio_mean import ClusterSums, RatioMean

POWER = 0.8
MOST_EXAMPLES = 10_000_000
"""Above this number the answer is None: no number would do."""

_EXACT_SEARCH = 5000
_ROUNDS = 20


def level_towards(estimate: float, *, limit: float, levels: Levels) -> float | None:
    """Return the level of the test that the estimate points to; None at the limit."""
    if estimate == limit:
        return None
    return levels.alpha_pass if estimate < limit else levels.alpha_fail


def level_of_open(verdict: Verdict, limit: Limit, levels: Levels) -> float:
    """Return the level of the test that an open verdict's estimate points to, whose plan it has."""
    sign = 1 if limit.bound is Bound.UPPER else -1
    alpha = level_towards(sign * verdict.estimate.value, limit=sign * limit.value, levels=levels)
    return levels.alpha_fail if alpha is None else alpha


def round_up(needed: float, *, at_least: int) -> int | None:
    """Return a whole number of examples; None where it is out of reach."""
    if not needed <= MOST_EXAMPLES:
        return None
    return max(math.ceil(needed), at_least)


def needed_pairs(
    losses: float, gains: float, *, limit: float, alpha: float, gain_weight: float = 1.0
) -> float:
    """Return the pairs that a score test of paired proportions needs.

    Parameters
    ----------
    losses, gains : float
        Shares of examples lost and gained, with losses - w·gains unequal to `limit`.
    limit : float
        Largest allowed drop, a fraction in (-1, 1).
    alpha : float
        One-sided level of the test that is to reject.
    gain_weight : float
        w of `tango.PairedCounts`.

    Returns
    -------
    float
        Not rounded; inf where no number does.

    Notes
    -----
    ((z_a·s0 + z_b·s1)/(limit - drop))², with s0² = w(1 + w)q + limit·(1 - limit), q the gains that
    the limit leaves most likely, and s1² = losses + w²·gains - drop², the drop being losses -
    w·gains. Without flips (1 - limit)^n ≤ alpha counts.

    References
    ----------
    J. Nam, Biometrics 53 (1997) 1422. By enumeration, the power of the score test is
    .80 to .84 at these numbers, the exact test's up to 8 points less for few flips.
    """
    w, flips, drop = gain_weight, losses + gains, losses - gain_weight * gains
    if flips == 0:
        return math.log(alpha) / math.log1p(-limit) if limit > 0 else math.inf
    squared = w * (1 + w)
    u = (1 + w) * limit * (1 - losses) - w * (1 - limit) * flips
    v = -gains * limit * (1 - limit)
    q = (math.sqrt(max(u * u - 4 * squared * v, 0.0)) - u) / (2 * squared)
    q = max(q, 0.0, -limit / w)
    null_error = math.sqrt(squared * q + limit * (1 - limit))
    true_error = math.sqrt(max(losses + w**2 * gains - drop**2, 0.0))
    return (
        (normal_quantile(alpha) * null_error + normal_quantile(1 - POWER) * true_error)
        / (limit - drop)
    ) ** 2


def needed_clusters(mean: RatioMean, n_clusters: int, *, limit: float, alpha: float) -> float:
    """Return the clusters that a t-test of a ratio mean needs; not rounded.

    Parameters
    ----------
    mean : RatioMean
        From `n_clusters` clusters, at least 2; its mean unequal to `limit`.
    n_clusters : int
        Clusters behind `mean`.
    limit : float
        On the scale of the mean.
    alpha : float
        One-sided level.

    Notes
    -----
    ((t_a + t_b)·SD/(limit - mean))², SD being the error times the root of the number of clusters;
    the degrees of freedom grow with the clusters, and the equation is iterated.
    """
    needed = float(n_clusters)
    per_cluster = n_clusters * (mean.error / (limit - mean.mean)) ** 2
    for _ in range(_ROUNDS):
        df = max(1.0, mean.df * needed / n_clusters)
        quantiles = student_quantile(alpha, df=df) + student_quantile(1 - POWER, df=df)
        needed = quantiles**2 * per_cluster
    return needed


def needed_for_share(share: float, *, limit: float, alpha: float) -> float:
    """Return the examples that an exact test of one share needs.

    Parameters
    ----------
    share : float
        True share, a fraction unequal to `limit`.
    limit : float
        A fraction in (0, 1).
    alpha : float
        One-sided level.

    Returns
    -------
    float
        The smallest number from which on the power stays; from 5,000 examples on the normal
        approximation, where the saw teeth of the binomial no longer matter.
    """
    if share > limit:
        return needed_for_share(1 - share, limit=1 - limit, alpha=alpha)
    errors = [math.sqrt(p * (1 - p)) for p in (limit, share)]
    quantiles = normal_quantile(alpha), normal_quantile(1 - POWER)
    normal = ((quantiles[0] * errors[0] + quantiles[1] * errors[1]) / (limit - share)) ** 2
    if normal > _EXACT_SEARCH:
        return normal
    without_hits = math.log(alpha) / math.log1p(-limit)
    ns = np.arange(1, 2 * math.ceil(normal + without_hits) + 1)
    weak = ns[_share_power(ns, share=share, limit=limit, alpha=alpha) < POWER]
    return float(np.max(weak, initial=0) + 1)


def _share_power(
    ns: NDArray[np.int64], *, share: float, limit: float, alpha: float
) -> NDArray[np.float64]:
    """Return, for each number of examples, the chance to show a share below the limit."""
    most = np.ceil(np.nan_to_num(special.bdtrik(alpha, ns, limit)))
    most -= special.bdtr(most, ns, limit) > alpha
    power = special.bdtr(np.maximum(most, 0.0), ns, share)
    return np.where(most >= 0, power, 0.0)


def needed_bets(scores: ClusterSums, *, limit: float, reach: float, alpha: float) -> float:
    """Return the clusters after which the capital reaches 1/alpha if it grows as it did.

    Parameters
    ----------
    scores : ClusterSums
        What was seen; its mean unequal to `limit`.
    limit, reach : float
        As for `betting.log_capitals`.
    alpha : float
        One-sided level.

    Returns
    -------
    float
        Not rounded; inf where no bet gains.
    """
    is_over = math.fsum(scores.sums) > limit * scores.total_size
    facing = negate(scores) if is_over else scores
    capitals = log_capitals(facing, limit=-limit if is_over else limit, reach=reach)
    growth = float(np.max(capitals)) / scores.n_clusters
    return (math.log(capitals.size) - math.log(alpha)) / growth if growth > 0 else math.inf

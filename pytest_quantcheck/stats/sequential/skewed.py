"""Looks at skewed differences without bounds: Hall's transform in place of t."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_quantcheck.core.limit import Limit, Statistic
from pytest_quantcheck.stats.ratio_mean import RATIO_MEAN_METHOD, ClusterSums
from pytest_quantcheck.stats.skewed_mean import SKEWED_RATIO_MEAN_METHOD, estimate_skewed_ratio_mean

if TYPE_CHECKING:
    from pytest_quantcheck.core.verdict import Levels
    from pytest_quantcheck.stats.decide import Evidence
    from pytest_quantcheck.stats.sequential.contrast import Contrast

SKEWED_FROM = 1.0
"""Absolute skewness from which t is replaced."""

_COMPARISONS = {Statistic.LOG_RATIO, Statistic.DROP, Statistic.RISE}


def straighten(evidence: Evidence, contrast: Contrast, *, limit: Limit, levels: Levels) -> Evidence:
    """Return the evidence with Hall's transform, where a t-test meets differences that are skewed.

    Parameters
    ----------
    evidence : Evidence
        What a limit on differences without bounds has to go by.
    contrast : Contrast
        The same differences.
    limit : Limit
        The limit.
    levels : Levels
        The interval has level 1 - 2·alpha_pass.

    Notes
    -----
    See `skewed_mean.estimate_skewed_ratio_mean` for the transform. A t-test errs the more, the
    smaller its level: with exponential differences of 200 documents, five looks with t pass .081 at
    the limit, with this rule .057 (20,000 simulated budgets, nominal .05); with normal ones nothing
    changes.

    References
    ----------
    See `skewed_mean.estimate_skewed_ratio_mean`.
    """
    is_tested = evidence.untested is None and evidence.estimate.method == RATIO_MEAN_METHOD
    if limit.statistic not in _COMPARISONS or not is_tested:
        return evidence
    by_cluster = ClusterSums(sums=contrast.gaps, sizes=contrast.units)
    mean = estimate_skewed_ratio_mean(by_cluster, least=-math.inf)
    if mean.deviation == 0 or abs(mean.skewness) <= SKEWED_FROM:
        return evidence
    is_ratio = limit.statistic is Statistic.LOG_RATIO
    allowed = math.log(limit.value) if is_ratio else limit.value
    interval = mean.invert(alpha=levels.alpha_pass)
    low, high = interval.low, interval.high
    return replace(
        evidence,
        estimate=replace(
            evidence.estimate,
            low=math.exp(low) if is_ratio else low,
            high=math.exp(high) if is_ratio else high,
            p_pass=mean.p_pass(allowed),
            p_fail=mean.p_fail(allowed),
            method=SKEWED_RATIO_MEAN_METHOD,
        ),
    )

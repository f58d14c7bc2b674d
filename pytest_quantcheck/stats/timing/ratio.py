"""Limits on a ratio of times, at one look."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from pytest_quantcheck.core.latency import MIN_LOADS, MIN_PAIRS, Schedule
from pytest_quantcheck.core.limit import Statistic
from pytest_quantcheck.core.verdict import Estimate, Reason
from pytest_quantcheck.stats.decide import Evidence
from pytest_quantcheck.stats.inversion import Interval, normal_quantile
from pytest_quantcheck.stats.latency import log_ratios, rank_signed
from pytest_quantcheck.stats.power import POWER, round_up
from pytest_quantcheck.stats.timing.times import timed_runs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from pytest_quantcheck.core.latency import LatencySamples
    from pytest_quantcheck.core.limit import Limit
    from pytest_quantcheck.core.verdict import Levels
    from pytest_quantcheck.stats.latency import SignedRanks
    from pytest_quantcheck.stats.timing.looks import Look

_METHOD = "Wilcoxon signed-rank test of log ratios (Hodges-Lehmann estimate)"
_MOST_TIES = 0.5
_EASY_ALPHA = 0.05
_ROUNDING = 1e-12
"""Ratios as near to the limit are at it: only rounding tells them apart."""
_EARLY_LOOKS = 1.06
"""What looking early costs in runs, about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioQuestion:
    """How a limit reads on the logarithm of variant over reference, of times."""

    metric: str
    log_limit: float
    sign: float
    """1 where the limit is on a ratio of times, -1 where it is on the inverse."""

    def state(self, log_ratio: float) -> float:
        """Return a log ratio of times in the unit of the limit."""
        return math.exp(self.sign * log_ratio)


def smallest_ratio_p(n: int, *, fewest: int = 1) -> float:
    """Return the smallest p-value that n blocks can give, 1 where there are too few for any."""
    return 2.0**-n if n >= fewest else 1.0


def read_limit(limit: Limit) -> RatioQuestion:
    """Return what a limit on a ratio asks of times."""
    sign = -1.0 if limit.statistic is Statistic.THROUGHPUT_RATIO else 1.0
    assert limit.metric is not None  # noqa: S101 - ratios of times have one
    return RatioQuestion(metric=limit.metric, log_limit=sign * math.log(limit.value), sign=sign)


def examine_ratio(limit: Limit, samples: LatencySamples, *, look: Look, levels: Levels) -> Evidence:
    """Return the evidence of the first n blocks on a ratio.

    Parameters
    ----------
    limit : Limit
        On a latency or throughput ratio.
    samples : LatencySamples
        With n blocks or more.
    look : Look
        Its blocks, and the levels of the ends of the interval.
    levels : Levels
        Of all looks.
    """
    asked, n = read_limit(limit), look.n
    values = log_ratios(timed_runs(samples, asked.metric, n=n))
    values = np.where(np.abs(values - asked.log_limit) < _ROUNDING, asked.log_limit, values)
    ranks = rank_signed(values)
    interval = Interval(
        low=ranks.invert(alpha=look.low).low, high=ranks.invert(alpha=look.high).high
    )
    ends = sorted(asked.state(end) for end in (interval.low, interval.high))
    estimate = Estimate(
        value=asked.state(ranks.pseudo_median),
        low=ends[0],
        high=ends[1],
        confidence_level=levels.confidence_level,
        p_pass=ranks.p_pass(asked.log_limit),
        p_fail=ranks.p_fail(asked.log_limit),
        n=n,
        n_clusters=None,
        method=_METHOD,
    )
    return Evidence(
        estimate=estimate,
        degradation=ranks.pseudo_median,
        allowed=asked.log_limit,
        losses=int(np.count_nonzero(values > asked.log_limit)),
        fewest=1,
        untested=_untested(samples, values),
        plan=lambda: _needed(
            asked.log_limit - ranks.pseudo_median,
            scale=_scale(ranks, n),
            levels=levels,
            at_least=fewest_blocks(samples),
        ),
        note="; ".join(_notes(samples, values, alpha_fail=levels.alpha_fail)),
        chance=lambda true: (
            _chance(
                asked.sign * math.log(true) - asked.log_limit,
                n=max(samples.n_planned, n),
                scale=_scale(ranks, n),
                alpha=levels.alpha_fail,
            )
            if true > 0
            else None
        ),
    )


def fewest_blocks(samples: LatencySamples) -> int:
    """Return the pairs, or blocks of loads, without which no ratio is decided."""
    return MIN_PAIRS if samples.schedule is Schedule.PAIRS else MIN_LOADS


def _untested(samples: LatencySamples, values: NDArray[np.float64]) -> Reason | None:
    if values.size < fewest_blocks(samples):
        return Reason.TOO_FEW_RUNS
    if np.count_nonzero(values == 0) > _MOST_TIES * values.size:
        return Reason.COARSE_CLOCK
    return None


def _notes(
    samples: LatencySamples, values: NDArray[np.float64], *, alpha_fail: float
) -> Iterator[str]:
    """Yield what keeps runs from deciding."""
    reason, planned = _untested(samples, values), max(samples.n_planned, values.size)
    kind = "pairs of runs" if samples.schedule is Schedule.PAIRS else "blocks of loads"
    if reason is Reason.TOO_FEW_RUNS:
        yield (
            f"a ratio takes {fewest_blocks(samples)} {kind}, there are {values.size}; allow more "
            "seconds"
        )
    if reason is Reason.COARSE_CLOCK:
        ties = int(np.count_nonzero(values == 0))
        yield f"both runs took exactly as long in {ties} of {values.size} blocks; time longer runs"
    if smallest_ratio_p(planned) > alpha_fail:
        needed = math.ceil(-math.log2(alpha_fail))
        yield f"in so large a family FAIL takes {needed} {kind}; {planned} were planned"


def _scale(ranks: SignedRanks, n: int) -> float:
    """Return the standard error of the estimate times √n, from the width of its interval.

    Spikes that the test disregards do not count, as they would in a standard deviation. It is
    infinite below five blocks.
    """
    interval = ranks.invert(alpha=_EASY_ALPHA)
    return (interval.high - interval.low) / (2 * normal_quantile(_EASY_ALPHA)) * math.sqrt(n)


def _needed(distance: float, *, scale: float, levels: Levels, at_least: int) -> int | None:
    """Return the blocks that show on which side of the limit, `distance` away, the ratio is."""
    if distance == 0 or not math.isfinite(scale):
        return None
    alpha = levels.alpha_pass if distance > 0 else levels.alpha_fail
    least = max(at_least, math.ceil(-math.log2(alpha)))
    quantiles = normal_quantile(alpha) + normal_quantile(1 - POWER)
    return round_up(_EARLY_LOOKS * (quantiles * scale / distance) ** 2, at_least=least)


def _chance(excess: float, *, n: int, scale: float, alpha: float) -> float | None:
    """Return the chance of FAIL of n blocks where the truth is `excess` over the limit."""
    if not math.isfinite(scale):
        return None
    if smallest_ratio_p(n) > alpha:
        return 0.0
    if scale == 0:
        return float(excess > 0)
    return float(special.ndtr(excess * math.sqrt(n) / scale - normal_quantile(alpha)))

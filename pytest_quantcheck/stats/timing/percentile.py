"""Limits on a percentile of the variant's times, at one look."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from pytest_quantcheck.core.limit import Bound
from pytest_quantcheck.core.verdict import Estimate, Reason
from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.stats.decide import Evidence
from pytest_quantcheck.stats.inversion import Interval
from pytest_quantcheck.stats.power import needed_for_share, round_up
from pytest_quantcheck.stats.quantile import examples_for_quantile
from pytest_quantcheck.stats.teeth import chance_for_share
from pytest_quantcheck.stats.timing.times import timed_runs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_quantcheck.core.latency import LatencySamples
    from pytest_quantcheck.core.limit import Limit
    from pytest_quantcheck.core.verdict import Levels
    from pytest_quantcheck.stats.timing.looks import Look

_MILLISECONDS = 1000.0
_FEWEST_TO_CORRELATE = 8
_CLEARLY = 1.645
"""Standard errors from which on runs are taken to depend on their neighbours: 5 %, one-sided."""
_LARGEST = 0.99
FIRST_LOOK = 30
"""Runs before which it cannot be seen whether they depend on each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsOver:
    """Tests of a share of runs over a limit, given how many runs count as independent."""

    n: int
    share: float
    """Runs that may be over: 0.05 for the p95."""
    weight: float
    """Independent runs for each run, at most 1."""

    @property
    def n_effective(self) -> int:
        """Runs that count."""
        return max(1, math.floor(self.n * self.weight))

    def p_pass(self, over: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the p-value of "more than the share are over", rounded against rejection."""
        counted = np.minimum(np.ceil(over * self.weight), self.n_effective)
        return np.asarray(special.bdtr(counted, self.n_effective, self.share))

    def p_fail(self, over: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the p-value of "no more than the share are over", rounded alike."""
        counted = np.floor(over * self.weight)
        above = special.bdtrc(np.maximum(counted - 1, 0), self.n_effective, self.share)
        return np.where(counted <= 0, 1.0, above)

    def interval(self, values: NDArray[np.float64], *, low: float, high: float) -> Interval:
        """Return the limits that neither test rejects at these levels of the two ends."""
        ordered, counts = np.sort(values), np.arange(self.n + 1)
        shown = np.flatnonzero(self.p_pass(counts) <= high)
        over = np.flatnonzero(self.p_fail(counts) <= low)
        return Interval(
            low=float(ordered[self.n - over[0]]) if over.size else 0.0,
            high=float(ordered[self.n - 1 - shown[-1]]) if shown.size else math.inf,
        )


def needed_runs(limit: Limit, *, levels: Levels) -> int:
    """Return the fewest runs of the variant that can show a percentile to be within a limit.

    Examples
    --------
    >>> from pytest_quantcheck.core.grammar import parse_limit
    >>> from pytest_quantcheck.stats.family import levels
    >>> limits = [parse_limit(f"max_tpot_p{p}_ms", 60) for p in (50, 90, 95, 99)]
    >>> [needed_runs(limit, levels=levels(0.05, 20)) for limit in limits]
    [5, 29, 59, 299]
    """
    return examples_for_quantile(_quantile(limit), alpha=levels.alpha_pass)


def check_repeats(limit: Limit, n_runs: int, *, levels: Levels) -> None:
    """Raise UsageError where so many runs can never show a percentile to be within its limit.

    Examples
    --------
    >>> from pytest_quantcheck.core.grammar import parse_limit
    >>> from pytest_quantcheck.stats.family import levels
    >>> check_repeats(parse_limit("max_tpot_p99_ms", 60), 60, levels=levels(0.05, 1))
    Traceback (most recent call last):
    pytest_quantcheck.errors.UsageError: max_tpot_p99_ms with 60 runs: 299 are needed to show \
anything at alpha = 0.05; set repeats=299 or more, or limit p95 or lower
    """
    needed = needed_runs(limit, levels=levels)
    if n_runs < needed:
        highest = math.floor(100 * levels.alpha_pass ** (1 / n_runs)) if n_runs else 0
        advice = f", or limit p{highest} or lower" if highest > 0 else ""
        raise UsageError(
            f"{limit.keyword} with {n_runs} runs: {needed} are needed to show anything at alpha = "
            f"{levels.alpha_pass:g}; set repeats={needed} or more{advice}"
        )


def smallest_percentile_p(n: int, *, quantile: float, runs: int, is_pass: bool) -> float:
    """Return the smallest p-value that n blocks of so many runs can give at an early look."""
    if n * runs < FIRST_LOOK:
        return 1.0
    return (quantile if is_pass else 1 - quantile) ** (n * runs)


def examine_percentile(
    limit: Limit, samples: LatencySamples, *, look: Look, levels: Levels
) -> Evidence:
    """Return the evidence of the first blocks on a percentile of the variant.

    Parameters
    ----------
    limit : Limit
        In milliseconds.
    samples : LatencySamples
        With as many blocks as the look, or more.
    look : Look
        Its blocks, and the levels of the ends of the interval.
    levels : Levels
        Of all looks.

    Notes
    -----
    Runs of one session may rise and fall together. Where the ranks of neighbouring runs correlate
    clearly (r over 1.645/√n), n of them count as n·(1 - r)/(1 + r), and those over the limit in
    proportion. As r comes out too small in short series, (1 + 3r)/n is added.

    References
    ----------
    Exact binomial test; where all runs count it agrees with `scipy.stats.binomtest` and
    `scipy.stats.quantile_test`. Effective number of an autoregressive series: G. E. P. Box, G. M.
    Jenkins, "Time Series Analysis" (1976), section 2.1. The bias: F. H. C. Marriott, J. A. Pope,
    Biometrika 41 (1954) 390.
    """
    quantile = _quantile(limit)
    values = variant_milliseconds(limit, samples, n=look.n)
    tests = RunsOver(n=values.size, share=1 - quantile, weight=independent_share(values))
    over = int(np.count_nonzero(values > limit.value))
    interval = tests.interval(values, low=look.low, high=look.high)
    p_pass, p_fail = (float(p(np.array(over))) for p in (tests.p_pass, tests.p_fail))
    estimate = Estimate(
        value=float(np.quantile(values, quantile, method="inverted_cdf")),
        low=interval.low,
        high=interval.high,
        confidence_level=levels.confidence_level,
        p_pass=p_pass,
        p_fail=p_fail,
        n=values.size,
        n_clusters=None,
        method="exact binomial test of the runs over the limit (order-statistic interval)",
        counts={"over": over},
    )
    planned = round(values.size * max(1.0, samples.n_planned / look.n))
    return Evidence(
        estimate=estimate,
        degradation=estimate.value,
        allowed=limit.value,
        losses=over,
        fewest=1,
        plan=lambda: _needed(limit, over / values.size, weight=tests.weight, levels=levels),
        note=_note(tests),
        chance=lambda true: _chance(
            limit, values * true / estimate.value, n=planned, alpha=levels.alpha_fail
        ),
    )


def explain(limit: Limit, evidence: Evidence, *, look: Look) -> tuple[Reason, str] | None:
    """Return why runs show neither side, where it is for their number or their dependence."""
    tests = RunsOver(n=evidence.estimate.n, share=1 - _quantile(limit), weight=1.0)
    over = np.array(evidence.estimate.counts["over"])
    needed = needed_runs(limit, levels=look.levels)
    if tests.n < needed:
        percent = 100 * _quantile(limit)
        note = f"p{percent:g} of {tests.n} runs: {needed} are needed to show anything"
        return Reason.TOO_FEW_RUNS, note
    shows = (
        tests.p_pass(over) <= look.levels.alpha_pass or tests.p_fail(over) <= look.levels.alpha_fail
    )
    return (Reason.DEPENDENT_RUNS, evidence.note) if shows else None


def variant_milliseconds(limit: Limit, samples: LatencySamples, *, n: int) -> NDArray[np.float64]:
    """Return the variant's times in the first n blocks, in the order of time."""
    assert limit.metric is not None  # noqa: S101 - percentiles have one
    runs = timed_runs(samples, limit.metric, n=n)
    values = _MILLISECONDS * runs.seconds[runs.is_variant]
    wrong = np.flatnonzero(~(values >= 0))
    if values.size == 0 or wrong.size:
        found = f"run {wrong[0]} took {values[wrong[0]]} ms" if wrong.size else "there are no runs"
        raise MeasurementError(f"{found}; a percentile needs a time of 0 or more from every run")
    return values


def independent_share(values: NDArray[np.float64]) -> float:
    """Return how many independent runs each of these stands for, at most 1."""
    n = values.size
    if n < _FEWEST_TO_CORRELATE:
        return 1.0
    _, place, ties = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(ties) - (ties - 1) / 2)[place] - (n + 1) / 2
    spread = float(np.sum(ranks**2))
    if spread == 0:
        return 1.0
    r = float(np.sum(ranks[1:] * ranks[:-1])) / spread
    if r <= _CLEARLY / math.sqrt(n):
        return 1.0
    r = min(r + (1 + 3 * r) / n, _LARGEST)
    return (1 - r) / (1 + r)


def _quantile(limit: Limit) -> float:
    assert limit.quantile is not None  # noqa: S101 - limits on percentiles have one
    return limit.quantile


def _note(tests: RunsOver) -> str:
    if tests.weight == 1:
        return ""
    return (
        f"neighbouring runs are alike, as where the device is throttled at times: {tests.n} count "
        f"as {tests.n_effective}"
    )


def _needed(limit: Limit, share: float, *, weight: float, levels: Levels) -> int | None:
    """Return the runs that show on which side of the limit the percentile is."""
    allowed = 1 - _quantile(limit)
    if math.isclose(share, allowed):  # 1 - 0.9 is not 0.1
        return None
    alpha = levels.alpha_pass if share < allowed else levels.alpha_fail
    needed = needed_for_share(share, limit=allowed, alpha=alpha)
    return round_up(needed / weight, at_least=needed_runs(limit, levels=levels))


def _chance(limit: Limit, values: NDArray[np.float64], *, n: int, alpha: float) -> float:
    """Return the chance of FAIL of n runs whose times are like these."""
    over = float(np.mean(values > limit.value))
    return chance_for_share(
        n, limit=1 - _quantile(limit), true=over, alpha=alpha, bound=Bound.UPPER
    )

"""The entry: from a limit and what serving took to a verdict, at a look or in the end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from pytest_quantcheck.core.limit import Statistic
from pytest_quantcheck.core.verdict import Levels, Outcome, Reason, Verdict
from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.stats.decide import Evidence, decide
from pytest_quantcheck.stats.procedures import compare_exactly
from pytest_quantcheck.stats.teeth import alternative
from pytest_quantcheck.stats.timing.looks import Look, Looks, looks_until
from pytest_quantcheck.stats.timing.percentile import (
    examine_percentile,
    explain,
    smallest_percentile_p,
)
from pytest_quantcheck.stats.timing.ratio import examine_ratio, fewest_blocks, smallest_ratio_p

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_quantcheck.core.latency import LatencySamples
    from pytest_quantcheck.core.limit import Limit

_BYTES_PER_MIB = 2**20
_SHOWN = {Reason.SHOWN_WITHIN, Reason.SHOWN_OVER}


def judge_latency(limit: Limit, samples: LatencySamples, *, levels: Levels) -> Verdict:
    """Return the verdict on one limit on times or throughput.

    Parameters
    ----------
    limit : Limit
        On a ratio of times, on throughput, or on a percentile of the variant's times.
    samples : LatencySamples
        What was timed, with the looks that were taken.
    levels : Levels
        Error rates of this decision, over all looks.

    Returns
    -------
    Verdict
        That of the first look at which the limit was decided, with the estimate of the blocks up
        to then; else that of all blocks. Estimate and interval are in the unit of the limit.

    Raises
    ------
    UsageError
        The limit is on time per output token, and there is one token.
    MeasurementError
        A time is impossible, or a block lacks one of the models.

    Notes
    -----
    PASS and FAIL are two tests, each with its own error rate. At a look each of them rejects where
    its p-value is at most the look's level, so that all looks together err at `alpha_pass` and
    `alpha_fail`; looks at which a test could not have rejected spend nothing. The interval holds
    what the look rejects on neither side. The p-values are the smallest levels at which the last
    look rejects. The single p-values are exact; that all looks together keep the level rests on
    the joint normality of the statistics.
    """
    if samples.n == 0:
        raise MeasurementError(f"{limit.keyword}: no run was timed; expected at least one block")
    found = _at_look(limit, samples, samples.n, levels)
    for n in samples.looks:
        earlier = _at_look(limit, samples, n, levels)
        if earlier.verdict.reason in _SHOWN:
            return _conclude(limit, earlier, levels=levels)
    is_open = samples.stopped is None and not samples.is_final
    if is_open and found.verdict.outcome is Outcome.INCONCLUSIVE:
        return replace(found.verdict, levels=levels)
    return _conclude(limit, found, levels=levels)


class LatencyWatch:
    """Decides limits as runs are timed.

    Parameters
    ----------
    limits : iterable of Limit
        On times or throughput. Without any the first look is the last.
    levels : Levels
        Error rates of each decision, over all looks.
    """

    def __init__(self, limits: Iterable[Limit], levels: Levels) -> None:
        self.settled: dict[Limit, Verdict] = {}
        """The limits decided so far."""
        self._open = list(dict.fromkeys(limits))
        self._levels = levels

    def update(self, batch: LatencySamples) -> bool:
        """Take in all samples so far; return whether no more are needed."""
        for limit in [*self._open]:
            found = _at_look(limit, batch, batch.n, self._levels)
            if found.verdict.reason in _SHOWN:
                self.settled[limit] = _conclude(limit, found, levels=self._levels)
                self._open.remove(limit)
        return not self._open

    def verdict(self, limit: Limit, samples: LatencySamples) -> Verdict:
        """Return the verdict a limit came to, or that of the last look at all samples.

        It is that of `judge_latency`, without another look at what was seen before.
        """
        if limit in self.settled:
            return self.settled[limit]
        found = _at_look(limit, samples, samples.n, self._levels)
        return _conclude(limit, found, levels=self._levels)


def judge_memory(
    limit: Limit, reference_bytes: int, *, variant_bytes: int, levels: Levels
) -> Verdict:
    """Return the verdict on peak memory, which is compared exactly.

    Parameters
    ----------
    limit : Limit
        Largest allowed ratio, or size in MiB.
    reference_bytes, variant_bytes : int
        Largest memory in use while serving; above 0.
    levels : Levels
        Kept with the verdict; no error is possible.

    Raises
    ------
    MeasurementError
        A size is not above 0.
    """
    for side, size in (("reference", reference_bytes), ("variant", variant_bytes)):
        if size <= 0:
            raise MeasurementError(
                f"{limit.keyword}: the {side} used {size} bytes while serving; expected some"
            )
    is_ratio = limit.statistic is Statistic.PEAK_MEMORY_RATIO
    value = variant_bytes / (reference_bytes if is_ratio else _BYTES_PER_MIB)
    return compare_exactly(limit, value, levels=levels)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What one look showed."""

    verdict: Verdict
    """At the levels of the look."""
    evidence: Evidence
    look: Look
    passing: Looks
    failing: Looks


def _at_look(limit: Limit, samples: LatencySamples, n: int, levels: Levels) -> _Found:
    passing = _looks(limit, samples, n, alpha=levels.alpha_pass, is_pass=True)
    failing = _looks(limit, samples, n, alpha=levels.alpha_fail, is_pass=False)
    low = _looks(limit, samples, n, alpha=levels.alpha_pass, is_pass=False)
    at_look = Levels(alpha_pass=passing.level(), alpha_fail=failing.level())
    look = Look(n=n, levels=at_look, low=low.level(), high=at_look.alpha_pass)
    is_ratio = limit.statistic is not Statistic.LATENCY_QUANTILE
    examine = examine_ratio if is_ratio else examine_percentile
    evidence = examine(limit, samples, look=look, levels=levels)
    verdict = decide(replace(evidence, plan=None), levels=at_look)
    return _Found(verdict=verdict, evidence=evidence, look=look, passing=passing, failing=failing)


def _looks(limit: Limit, samples: LatencySamples, n: int, *, alpha: float, is_pass: bool) -> Looks:
    if limit.quantile is None:
        smallest_p = partial(smallest_ratio_p, fewest=fewest_blocks(samples))
    else:
        runs = round(len(samples.runs) / (2 * max(samples.n, 1)))
        smallest_p = partial(
            smallest_percentile_p, quantile=limit.quantile, runs=runs, is_pass=is_pass
        )
    return looks_until(
        n,
        samples.looks,
        alpha=alpha,
        n_planned=max(samples.n_planned, samples.n),
        is_final=samples.is_final and n == samples.n,
        smallest_p=smallest_p,
    )


def _conclude(limit: Limit, found: _Found, *, levels: Levels) -> Verdict:
    """Return the verdict with what holds over all looks in place of what holds at one."""
    verdict, estimate = found.verdict, found.verdict.estimate
    p_pass, p_fail = found.passing.adjust(estimate.p_pass), found.failing.adjust(estimate.p_fail)
    if found.evidence.untested is not None:  # what no test decides, no p-value may list
        p_pass = p_fail = 1.0
    if verdict.outcome is Outcome.PASS:
        p_pass = min(p_pass, levels.alpha_pass)
    if verdict.outcome is Outcome.FAIL:
        p_fail = min(p_fail, levels.alpha_fail)
    reason, note = verdict.reason, verdict.note
    if limit.quantile is not None and verdict.outcome is Outcome.INCONCLUSIVE:
        reason, note = explain(limit, found.evidence, look=found.look) or (reason, note)
    is_open = verdict.outcome is Outcome.INCONCLUSIVE
    excess = alternative(limit, None)
    chance = found.evidence.chance
    power = chance(excess) if excess is not None and chance is not None else None
    return replace(
        verdict,
        reason=reason,
        note=note,
        levels=levels,
        estimate=replace(estimate, p_pass=p_pass, p_fail=p_fail),
        needed_n=found.evidence.plan() if is_open and found.evidence.plan is not None else None,
        power=power,
        power_at=None if power is None else excess,
    )

"""The group-sequential part: whichever test a limit has, at a few looks and stricter levels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scipy import optimize

from pytest_quantcheck.core.limit import Limit, Statistic
from pytest_quantcheck.core.verdict import Levels, Outcome, Reason, Verdict
from pytest_quantcheck.stats.binary import nearest_p_fail
from pytest_quantcheck.stats.means import PValues
from pytest_quantcheck.stats.paired import align
from pytest_quantcheck.stats.procedures import examine, judge
from pytest_quantcheck.stats.sequential.boundaries import nominal_level
from pytest_quantcheck.stats.shares import count_pairs
from pytest_quantcheck.stats.tango import PairedCounts

if TYPE_CHECKING:
    from pytest_quantcheck.stats.paired import PairedScores
    from pytest_quantcheck.stats.scores import ExampleScores
    from pytest_quantcheck.stats.sequential.prefix import Plan, Prefix
    from pytest_quantcheck.stats.sequential.schedule import Pace

MIN_CLUSTERS_AT_LOOK = 20
"""A look before all examples are there needs as many, where examples are clustered."""

_DIFFERENCES = {Statistic.DROP, Statistic.RISE}
_SMALLEST_LEVEL = 1e-50
_SMALLEST_ALPHA, _LARGEST_ALPHA = 1e-60, 0.499
_BY_TEST = {
    Reason.SHOWN_WITHIN,
    Reason.SHOWN_OVER,
    Reason.NON_FINITE,
    Reason.TRIVIAL_LIMIT,
}
"""Reasons that hold before all examples are there; rules for equal scores wait for the last."""


class Looks:
    """The test of one limit, at times that depend on no score."""

    def __init__(self, limit: Limit, plan: Plan, *, levels: Levels, pace: Pace) -> None:
        """Plan the looks; `levels` is the error of all of them together."""
        self._limit, self._plan, self._levels = limit, plan, levels
        self._due = list(pace.looks(plan.n))
        self._times: tuple[float, ...] = ()
        self.n = 0
        """Examples at the last look taken; 0 before the first."""

    def is_due(self, prefix: Prefix, *, is_last: bool) -> bool:
        """Return whether the test is to be made now, and count it as made."""
        if is_last:
            self._times = (*self._times, 1.0)
        elif prefix.n >= self._due[0] and self._is_apart(prefix):
            self._due = [n for n in self._due if n > prefix.n]
            self._times = (*self._times, prefix.n / self._plan.n)
        else:
            return False
        self.n = prefix.n
        return True

    def _is_apart(self, prefix: Prefix) -> bool:
        """Return whether the last look is still far, and no cluster-based test would be rash."""
        if self._plan.n_clusters is not None and prefix.n_drawn < MIN_CLUSTERS_AT_LOOK:
            return False
        return self._plan.n - prefix.n >= self._plan.n / 100

    def levels(self) -> Levels:
        """Return the levels of the last look taken."""
        return Levels(
            alpha_pass=_level(self._times, self._levels.alpha_pass),
            alpha_fail=_level(self._times, self._levels.alpha_fail),
        )

    def look(self, prefix: Prefix) -> Verdict | None:
        """Return the verdict of an early look; None where it is too early to tell."""
        reference, variant = prefix.scores()
        levels = self.levels()
        lowest = _lowest_p_values(self._limit, reference, variant=variant, levels=levels)
        may_fail = lowest.p_fail <= levels.alpha_fail
        if not may_fail and lowest.p_pass > levels.alpha_pass:
            return None
        # The chance of FAIL of a PASS is that of the whole plan, not that of an early look.
        fail = levels.alpha_fail if may_fail else self._levels.alpha_fail
        verdict = judge(
            self._limit,
            reference,
            variant=variant,
            levels=Levels(alpha_pass=levels.alpha_pass, alpha_fail=fail),
        )
        is_early = verdict.reason not in _BY_TEST or (
            verdict.outcome is Outcome.FAIL and not may_fail
        )
        return None if is_early else verdict

    def smallest_alpha(self, p: float, *, share: float) -> float:
        """Return the smallest alpha at which the last look taken rejects, given its p-value.

        `share` is the part of alpha that the looks spend.
        """
        if p >= _level(self._times, share * _LARGEST_ALPHA):
            return 1.0

        def excess(log_alpha: float) -> float:
            return math.log(_level(self._times, share * math.exp(log_alpha))) - math.log(p)

        if p <= _level(self._times, share * _SMALLEST_ALPHA):
            return _SMALLEST_ALPHA
        low, high = math.log(_SMALLEST_ALPHA), math.log(_LARGEST_ALPHA)
        return math.exp(optimize.brentq(excess, low, high, rtol=1e-6, xtol=1e-6))


def _level(times: tuple[float, ...], alpha: float) -> float:
    return max(nominal_level(times, alpha), _SMALLEST_LEVEL)


def _lowest_p_values(
    limit: Limit, reference: ExampleScores, *, variant: ExampleScores, levels: Levels
) -> PValues:
    """Return p-values, or what they are at least, without an interval."""
    if limit.statistic in {*_DIFFERENCES, Statistic.RECOVERY}:
        pairs = align(reference, variant)
        if pairs.is_binary and pairs.clusters is None:
            return _lowest_of_pairs(limit, pairs, levels)
    evidence = examine(limit, reference, variant=variant, levels=levels)
    return PValues(p_pass=evidence.estimate.p_pass, p_fail=evidence.estimate.p_fail)


def _lowest_of_pairs(limit: Limit, pairs: PairedScores, levels: Levels) -> PValues:
    """Return the exact p-values at the limit alone: at most those that decide."""
    is_relative = limit.statistic is Statistic.RECOVERY
    table = count_pairs(pairs if is_relative else pairs.as_higher_is_better())
    counts = PairedCounts(
        losses=table["losses"],
        gains=table["gains"],
        n=pairs.n - table["neither"] if is_relative else pairs.n,
        is_relative=is_relative,
    )
    value = 1 - limit.value if is_relative else limit.value
    return lowest_p_values(counts, limit=value, levels=levels)


def lowest_p_values(counts: PairedCounts, *, limit: float, levels: Levels) -> PValues:
    """Return the exact p-values at the limit alone: at most those that decide, and cheap."""
    if limit >= 1 or counts.n == 0:
        return PValues(p_pass=float(limit < 1), p_fail=1.0)
    swapped = counts.swap()
    against = nearest_p_fail(swapped, limit=counts.opposite(limit), alpha=levels.alpha_pass)
    return PValues(
        p_pass=against, p_fail=nearest_p_fail(counts, limit=limit, alpha=levels.alpha_fail)
    )

"""The group-sequential part: whichever test a limit has, at a few looks and stricter levels."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize

from pytest_quantcheck.core.limit import Limit, Statistic
from pytest_quantcheck.core.verdict import Levels, Outcome, Reason, Verdict
from pytest_quantcheck.stats.binary import LARGEST_EXACT_N, nearest_p_fail, p_fail, p_pass
from pytest_quantcheck.stats.decide import decide
from pytest_quantcheck.stats.means import PValues
from pytest_quantcheck.stats.power import level_of_open
from pytest_quantcheck.stats.procedures import examine, settle
from pytest_quantcheck.stats.sequential.boundaries import nominal_level
from pytest_quantcheck.stats.sequential.crossing import examples_factor
from pytest_quantcheck.stats.sequential.skewed import straighten
from pytest_quantcheck.stats.tango import PairedCounts, tango_p_pass

if TYPE_CHECKING:
    from pytest_quantcheck.stats.decide import Evidence
    from pytest_quantcheck.stats.sequential.contrast import Contrast
    from pytest_quantcheck.stats.sequential.prefix import Plan, Prefix
    from pytest_quantcheck.stats.sequential.schedule import Pace

MIN_CLUSTERS_AT_LOOK = 20
"""A look before all examples are there needs as many, where examples are clustered."""

_SHOWN = {Outcome.PASS, Outcome.FAIL}
_PAIRED = {Statistic.DROP, Statistic.RISE, Statistic.RECOVERY}
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

    def __init__(
        self, limit: Limit, plan: Plan, *, levels: Levels, pace: Pace, has_bounds: bool
    ) -> None:
        """Plan the looks; `levels` is the error of all of them together.

        Scores without bounds have no bets, so that they stop at looks only.
        """
        self._limit, self._plan, self._levels = limit, plan, levels
        self._has_bounds = has_bounds
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

    def look(self, prefix: Prefix, *, is_last: bool) -> Outcome | None:
        """Return what the test shows now; None where it shows nothing."""
        contrast, levels = prefix.contrast(), self.levels()
        pairs = _right_or_wrong_pairs(self._limit, contrast)
        if pairs is not None:
            return _compare_exactly(pairs.counts, limit=pairs.limit, levels=levels)
        if _has_nothing_to_keep(self._limit, contrast) and not is_last:
            return None
        evidence = self._examine(prefix, levels)
        verdict = decide(replace(evidence, plan=None), levels=levels)
        holds = is_last or verdict.reason in _BY_TEST
        return verdict.outcome if holds and verdict.outcome in _SHOWN else None

    def verdict(self, prefix: Prefix, levels: Levels) -> Verdict:
        """Return the verdict at the last look taken, with its interval, at the levels given."""
        evidence = self._examine(prefix, levels)
        bounds = prefix.scores(self.n)[1].bounds
        return settle(self._limit, evidence, bounds=bounds, levels=levels)

    def needed(self, at_look: Verdict) -> int | None:
        """Return the examples needed with all looks, where those of the last one alone are known.

        `at_look` is INCONCLUSIVE, planned at the last look's level.
        """
        if at_look.needed_n is None:
            return None
        alpha, last = (
            level_of_open(at_look, self._limit, levels) for levels in (self._levels, self.levels())
        )
        factor = examples_factor(self._times, alpha, planned_at=last)
        return max(math.ceil(at_look.needed_n * factor), at_look.estimate.n + 1)

    def _examine(self, prefix: Prefix, levels: Levels) -> Evidence:
        """Return the evidence of the examples up to the last look taken."""
        reference, variant = prefix.scores(self.n)
        evidence = examine(self._limit, reference, variant=variant, levels=levels)
        if self._has_bounds:
            return evidence
        return straighten(evidence, prefix.contrast(), limit=self._limit, levels=levels)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pairs:
    """Right-or-wrong examples that stand alone, and the largest drop allowed, in (-1, 1)."""

    counts: PairedCounts
    limit: float


def _right_or_wrong_pairs(limit: Limit, contrast: Contrast) -> _Pairs | None:
    """Return the counts that the exact paired test needs; None where another test is made."""
    is_relative = limit.statistic is Statistic.RECOVERY
    value = 1 - limit.value if is_relative else limit.value
    stand_alone = bool(np.all(contrast.sizes == 1))
    if limit.statistic not in _PAIRED or not (contrast.is_binary and stand_alone):
        return None
    losses, gains = (int(np.count_nonzero(contrast.gaps == gap)) for gap in (1, -1))
    n = contrast.gaps.size
    if is_relative:
        right = int(np.count_nonzero(contrast.units))
        n = right + gains
        if right == 0:
            return None
    counts = PairedCounts(losses=losses, gains=gains, n=n, is_relative=is_relative)
    return _Pairs(counts=counts, limit=value) if -1 < value < 1 else None


def _has_nothing_to_keep(limit: Limit, contrast: Contrast) -> bool:
    return limit.statistic is Statistic.RECOVERY and math.fsum(contrast.units) <= 0


def _compare_exactly(counts: PairedCounts, *, limit: float, levels: Levels) -> Outcome | None:
    """Return what the exact paired test shows, as `judge` compares it; mostly in 2 to 10 ms."""
    lowest = lowest_p_values(counts, limit=limit, levels=levels)
    alpha = levels.alpha_pass
    if lowest.p_pass <= alpha and p_pass(counts, limit=limit, alpha=alpha) <= alpha:
        return Outcome.PASS
    alpha = levels.alpha_fail
    if lowest.p_fail <= alpha and p_fail(counts, limit=limit, alpha=alpha) <= alpha:
        return Outcome.FAIL
    return None


def lowest_p_values(counts: PairedCounts, *, limit: float, levels: Levels) -> PValues:
    """Return the exact p-values at the limit alone: at most those that decide, and cheap."""
    if counts.n > LARGEST_EXACT_N:
        within = tango_p_pass(counts, limit=limit)
        return PValues(p_pass=within, p_fail=1 - within)
    swapped = counts.swap()
    against = nearest_p_fail(swapped, limit=counts.opposite(limit), alpha=levels.alpha_pass)
    return PValues(
        p_pass=against, p_fail=nearest_p_fail(counts, limit=limit, alpha=levels.alpha_fail)
    )

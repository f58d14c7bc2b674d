"""Budgets for other examples: proposed on one half of those at hand, checked on the other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from pytest_quantcheck.core.grammar import nominal_limit, parse_limit
from pytest_quantcheck.core.limit import Bound
from pytest_quantcheck.core.steps import loosen
from pytest_quantcheck.core.verdict import Levels
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.stats.inversion import normal_quantile
from pytest_quantcheck.stats.procedures import examine, judge

if TYPE_CHECKING:
    from pytest_quantcheck.core.limit import Limit
    from pytest_quantcheck.core.verdict import Estimate, Verdict
    from pytest_quantcheck.stats.scores import ExampleScores

PASS_CHANCE = 0.8
"""Of the budget that is shown beside the proposed one."""

_LOOSEST_LEVEL = 0.49


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What a budget is to do on other examples of the same number."""

    levels: Levels
    """Of the verdicts of the run."""
    false_alarm: float
    """Largest chance of FAIL, in (0, 0.5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """One metric of reference and variant on the same examples."""

    reference: ExampleScores
    variant: ExampleScores

    def among(self, ids: frozenset[str]) -> Sides:
        """Return both on some of the examples."""
        return Sides(
            reference=_among(self.reference, ids),
            variant=_among(self.variant, ids),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Halves:
    """The examples, in two parts that share no cluster."""

    proposing: frozenset[str]
    checking: frozenset[str]
    n_units: tuple[int, int]
    """Clusters, or examples that stand alone, of both."""

    @property
    def ratio(self) -> float:
        """How many times as many examples there are in all as propose."""
        return sum(self.n_units) / self.n_units[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A budget, and what was found of it."""

    seen: Estimate
    """On all examples."""
    limit: Limit | None
    """The tightest that other examples would keep but for false alarms. None: no test of these is
    valid, or every number that the limit can have is too tight."""
    check: Verdict | None
    """On the half that did not propose it; None without a limit."""
    passing: Limit | None
    """The tightest that as many other examples would show with `PASS_CHANCE`; None: none does."""


def split(scores: ExampleScores, *, seed: int) -> Halves:
    """Return two halves of the examples, whole clusters each, by chance.

    Parameters
    ----------
    scores : ExampleScores
        Of any metric: the same examples and clusters are always split alike.
    seed : int
        Of the chance.
    """
    labels = scores.ids if scores.clusters is None else scores.clusters.tolist()
    unit_of = dict(sorted(zip(scores.ids, labels, strict=True)))
    units = [*dict.fromkeys(unit_of.values())]
    n_proposing = math.ceil(len(units) / 2)
    order = np.random.default_rng(seed).permutation(len(units))
    chosen = {units[i] for i in order[:n_proposing]}
    proposing = frozenset(name for name, unit in unit_of.items() if unit in chosen)
    return Halves(
        proposing=proposing,
        checking=frozenset(unit_of) - proposing,
        n_units=(n_proposing, len(units) - n_proposing),
    )


def suggest(keyword: str, sides: Sides, *, halves: Halves, aim: Aim) -> Suggestion:
    """Return the tightest budget that other examples would keep, checked on the half set aside.

    Parameters
    ----------
    keyword : str
        Of a limit on the metric: `max_accuracy_drop`.
    sides : Sides
        Every example.
    halves : Halves
        Of them.
    aim : Aim
        What the budget is to do.

    Raises
    ------
    UsageError, MeasurementError
        See `judge`.

    Notes
    -----
    FAIL on other examples takes an estimate of theirs that exceeds the limit by z(alpha_fail)
    standard errors, and the limit is an upper confidence limit from the proposing half. With r
    times as many examples as propose, the difference of the two estimates has 1 + r times the
    variance of one on all. So the level of the confidence limit is that of
    k = (z(false alarm)·√(1 + r) - z(alpha_fail)) / √r standard errors of the half, and for PASS
    of k = (z(alpha_pass) + z(0.2)·√(1 + r)) / √r. The confidence limit is that of the test
    itself: the limit is the tightest that the proposing half passes at that level. No budget is
    tighter than what all examples together show. `tests/calibration` simulates what comes true.
    """
    half = sides.among(halves.proposing)
    seen = examine(
        nominal_limit(keyword), sides.reference, variant=sides.variant, levels=aim.levels
    ).estimate
    limit, passing = (
        _tightest(keyword, half, level=level, seen=seen.value)
        for level in (_proposing_level(aim, halves.ratio), _passing_level(aim, halves.ratio))
    )
    other, check = sides.among(halves.checking), None
    if limit is not None:
        check = judge(limit, other.reference, variant=other.variant, levels=aim.levels)
    return Suggestion(seen=seen, limit=limit, check=check, passing=passing)


def _proposing_level(aim: Aim, ratio: float) -> float:
    distance = normal_quantile(aim.false_alarm) * math.sqrt(1 + ratio)
    return _level(distance - normal_quantile(aim.levels.alpha_fail), ratio)


def _passing_level(aim: Aim, ratio: float) -> float:
    distance = normal_quantile(1 - PASS_CHANCE) * math.sqrt(1 + ratio)
    return _level(distance + normal_quantile(aim.levels.alpha_pass), ratio)


def _level(distance: float, ratio: float) -> float:
    """Return the one-sided level of a distance in standard errors of all examples."""
    return min(float(special.ndtr(-distance / math.sqrt(ratio))), _LOOSEST_LEVEL)


def _tightest(keyword: str, half: Sides, *, level: float, seen: float) -> Limit | None:
    """Return the tightest limit in short numbers that `half` passes at `level`.

    The test may depend on the limit, so the limit found is tried, and loosened until it holds: no
    round makes it tighter, and beyond the loosest that there is the search ends.
    """
    levels = Levels(alpha_pass=level, alpha_fail=level)
    limit, value = nominal_limit(keyword), seen
    while True:
        found = examine(limit, half.reference, variant=half.variant, levels=levels).estimate
        is_upper = limit.bound is Bound.UPPER
        edge = found.high if is_upper else found.low
        value = max(value, edge) if is_upper else min(value, edge)
        if not math.isfinite(value):
            return None
        try:
            tried = parse_limit(keyword, loosen(limit, value))
        except UsageError:  # no number that the limit can have is loose enough
            return None
        if tried == limit:
            return limit
        limit = tried


def _among(scores: ExampleScores, ids: frozenset[str]) -> ExampleScores:
    return scores.taken([row for row, name in enumerate(scores.ids) if name in ids])

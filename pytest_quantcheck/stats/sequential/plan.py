"""How many examples early stopping takes, and how many more than one test it needs."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_quantcheck.core.limit import Bound
from pytest_quantcheck.core.metric import METRICS
from pytest_quantcheck.stats.power import level_of_open
from pytest_quantcheck.stats.sequential.contrast import scales_of
from pytest_quantcheck.stats.sequential.counted import expected_of_counts
from pytest_quantcheck.stats.sequential.crossing import examples_factor
from pytest_quantcheck.stats.sequential.expected import drift_of, expected_examples
from pytest_quantcheck.stats.sequential.population import LOOK_SHARE
from pytest_quantcheck.stats.sequential.schedule import RIGHT_OR_WRONG, pace_of

if TYPE_CHECKING:
    from pytest_quantcheck.core.limit import Limit
    from pytest_quantcheck.core.verdict import Verdict
    from pytest_quantcheck.stats.plan import Plan
    from pytest_quantcheck.stats.sequential.schedule import Pace

_DIGITS = 2
"""Of the times of looks: whole examples hardly matter, and budgets share their factors."""


def expected_n(plan: Plan, n: int, *, true: float) -> int:
    """Return the mean number of examples, of n, where `true` is the truth.

    All of them where nothing can be shown. Drops of right or wrong answers that stand alone are
    simulated with looks and bets; for the rest see `expected.expected_examples`, which has looks
    alone.
    """
    limit, levels = plan.limit, plan.levels
    if plan.is_binary and limit.statistic.is_difference and plan.assuming.effect == 1:
        losses, gains, _ = plan.pairs(true)
        return round(expected_of_counts((losses, gains), n, limit=limit.value, levels=levels))
    is_within = (true < limit.value) is (limit.bound is Bound.UPPER)
    sides = (levels.alpha_pass, levels.alpha_fail)
    towards, against = sides if is_within else sides[::-1]
    needed = plan.needed(true)
    drift = 0.0 if needed is None else drift_of(n, needed=needed, alpha=towards)
    looks = _pace_of(limit).looks(n)
    return round(expected_examples(looks, drift=drift, towards=towards, against=against))


def needed_with_looks(plan: Plan, true: float) -> int | None:
    """Return the examples for 80 % power with looks, where `true` is the truth; None if none do."""
    needed, limit = plan.needed(true), plan.limit
    if needed is None:
        return None
    is_within = (true < limit.value) is (limit.bound is Bound.UPPER)
    alpha = plan.levels.alpha_pass if is_within else plan.levels.alpha_fail
    return with_looks(needed, limit, bounds=plan.assuming.bounds, alpha=alpha)


def with_looks(
    needed: int, limit: Limit, *, bounds: tuple[float, float] | None, alpha: float
) -> int:
    """Return the examples that looks take where one test at level `alpha` takes `needed`.

    Parameters
    ----------
    needed : int
        For 80 % power.
    limit : Limit
        One that `can_stop`.
    bounds : pair of float, or None
        Of the scores.
    alpha : float
        Level of PASS or FAIL, whichever is planned.
    """
    pace = _pace_of(limit)
    if needed <= pace.first:
        return needed
    metric = limit.metric
    has_bets = metric is None or scales_of(limit, METRICS[metric], bounds) is not None
    times = tuple(round(look / needed, _DIGITS) for look in pace.looks(needed))
    share = LOOK_SHARE if has_bets else 1.0
    return math.ceil(needed * examples_factor(times, share * alpha, planned_at=alpha))


def foreseeing_looks(
    verdict: Verdict, limit: Limit, *, bounds: tuple[float, float] | None
) -> Verdict:
    """Return the verdict of one test, with the examples needed if they will be looked at."""
    if verdict.needed_n is None:
        return verdict
    alpha = level_of_open(verdict, limit, verdict.levels)
    needed = with_looks(verdict.needed_n, limit, bounds=bounds, alpha=alpha)
    return replace(verdict, needed_n=needed)


def _pace_of(limit: Limit) -> Pace:
    return RIGHT_OR_WRONG if limit.metric is None else pace_of(METRICS[limit.metric])

"""How many examples of a planned budget early stopping takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantcheck.core.limit import Bound, Statistic
from pytest_quantcheck.core.metric import METRICS
from pytest_quantcheck.stats.sequential.counted import expected_of_counts
from pytest_quantcheck.stats.sequential.expected import drift_of, expected_examples
from pytest_quantcheck.stats.sequential.schedule import RIGHT_OR_WRONG, pace_of

if TYPE_CHECKING:
    from pytest_quantcheck.stats.plan import Plan

_CHANGES = {Statistic.DROP, Statistic.RISE}


def expected_n(plan: Plan, n: int, *, true: float) -> int:
    """Return the mean number of examples, of n, where `true` is the truth.

    All of them where nothing can be shown. Drops of right or wrong answers that stand alone are
    simulated with looks and bets; for the rest see `expected.expected_examples`, which has looks
    alone.
    """
    limit, levels = plan.limit, plan.levels
    if plan.is_binary and limit.statistic in _CHANGES and plan.assuming.effect == 1:
        losses, gains, _ = plan.pairs(true)
        return round(expected_of_counts((losses, gains), n, limit=limit.value, levels=levels))
    is_within = (true < limit.value) is (limit.bound is Bound.UPPER)
    sides = (levels.alpha_pass, levels.alpha_fail)
    towards, against = sides if is_within else sides[::-1]
    needed = plan.needed(true)
    drift = 0.0 if needed is None else drift_of(n, needed=needed, alpha=towards)
    pace = RIGHT_OR_WRONG if limit.metric is None else pace_of(METRICS[limit.metric])
    looks = pace.looks(n)
    return round(expected_examples(looks, drift=drift, towards=towards, against=against))

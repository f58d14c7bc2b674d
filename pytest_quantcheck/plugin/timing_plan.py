"""What a budget on times can show with the runs that its workload allows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pytest_quantcheck.core.latency import MIN_PAIRS
from pytest_quantcheck.core.limit import Statistic
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.report.plan import Figures, PlannedCheck
from pytest_quantcheck.stats.inversion import normal_quantile
from pytest_quantcheck.stats.power import POWER
from pytest_quantcheck.stats.timing.percentile import check_repeats, needed_runs
from pytest_quantcheck.workloads.latency import Latency

if TYPE_CHECKING:
    from pytest_quantcheck.core.budget import Budget
    from pytest_quantcheck.core.limit import Limit
    from pytest_quantcheck.core.supplements import PilotRecord
    from pytest_quantcheck.core.verdict import Levels

_ASSUMED_SCATTER = 0.03
"""Standard deviation of ln(variant/reference) over pairs, where no run is known."""


def plan_timing(budget: Budget, pilot: PilotRecord | None, levels: Levels) -> PlannedCheck:
    """Return what a budget on times or memory can show.

    Raises
    ------
    UsageError
        A percentile takes more runs than its workload allows.
    """
    workload, limit = budget.workload, budget.limit
    name = workload.name if workload else pilot.workload if pilot else "(in the test)"
    place = name + (f"[{budget.slice}]" if budget.slice else "")
    if not limit.is_statistical:
        return PlannedCheck(workload=place, variant=budget.variant, limit=limit, source="exact")
    n = pilot.n_planned if pilot else None
    if isinstance(workload, Latency):
        n = workload.repeats
    is_quantile = limit.statistic is Statistic.LATENCY_QUANTILE
    if is_quantile and isinstance(workload, Latency):
        check_runs(budget, workload, levels)
    source = "last run" if pilot else "assumed"
    if is_quantile:
        source = "not planned: depends on the times"
    elif n is None:
        source = "n is known after a run"
    return PlannedCheck(
        workload=place,
        variant=budget.variant,
        limit=limit,
        n=n,
        figures=None if is_quantile or n is None else _figures(limit, n, pilot, levels),
        runs_needed=needed_runs(limit, levels=levels) if is_quantile else None,
        source=source,
    )


def check_runs(budget: Budget, workload: Latency, levels: Levels) -> None:
    """Raise UsageError if a percentile takes more runs than the workload allows."""
    try:
        check_repeats(budget.limit, workload.repeats, levels=levels)
    except UsageError as error:
        raise UsageError(f"{budget.shown}: workload {workload.name}: {error}") from None


def _figures(limit: Limit, n: int, pilot: PilotRecord | None, levels: Levels) -> Figures:
    """Return what a signed-rank test of n pairs can show, by its normal approximation."""
    sign = -1 if limit.statistic is Statistic.THROUGHPUT_RATIO else 1
    scale = _scatter(pilot, levels) * math.sqrt(math.pi / 3)  # the rank test needs π/3 of the pairs
    to_fail, to_pass = (
        (normal_quantile(alpha) + normal_quantile(1 - POWER)) * scale
        for alpha in (levels.alpha_fail, levels.alpha_pass)
    )
    allowed = sign * math.log(limit.value)
    needed = None if allowed <= 0 else max(MIN_PAIRS, math.ceil((to_pass / allowed) ** 2))
    return Figures(
        smallest_fail=None
        if 2.0**-n > levels.alpha_fail  # not even if the variant is slower in every pair
        else math.exp(sign * (allowed + to_fail / math.sqrt(n))),
        largest_pass=math.exp(sign * (allowed - to_pass / math.sqrt(n))),
        needed_n=needed,
        power=None,
        power_at=None,
        is_toothless=False,
    )


def _scatter(pilot: PilotRecord | None, levels: Levels) -> float:
    """Return the standard deviation of log ratios: of the last run, by its interval."""
    if pilot is None or pilot.low is None or pilot.high is None or pilot.low <= 0:
        return _ASSUMED_SCATTER
    width, ends = math.log(pilot.high / pilot.low), 2 * normal_quantile(levels.alpha_pass)
    return width / ends * math.sqrt(pilot.n * 3 / math.pi)

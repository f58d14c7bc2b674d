"""Which workload a budget is decided on: the one it names, or the one that its test measures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantcheck.core.limit import Statistic
from pytest_quantcheck.core.parse import is_measured
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.workloads.latency import Latency

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantcheck.core.budget import Budget
    from pytest_quantcheck.core.limit import Limit
    from pytest_quantcheck.core.protocols import WorkloadLike


def needs_workload(limit: Limit) -> bool:
    """Whether something must be measured beside the weights."""
    return limit.statistic is not Statistic.WEIGHT_RATIO


class Bindings:
    """The budgets of one test, and the workloads that its body measures.

    Parameters
    ----------
    budgets : sequence of Budget
        With a workload, or without.
    """

    def __init__(self, budgets: Sequence[Budget]) -> None:
        self._budgets = budgets
        self._in_body: list[WorkloadLike] = []
        self._watched: set[Budget] = set()

    def note(self, workload: WorkloadLike) -> None:
        """Remember that the test's body has measured a workload."""
        if workload not in self._in_body:
            self._in_body.append(workload)

    def workload_of(self, budget: Budget) -> WorkloadLike | None:
        """Return what a budget is decided on; None where nothing says it, or too much.

        Of several workloads of the body the one counts that reports the metric.
        """
        if budget.workload is not None or not needs_workload(budget.limit):
            return budget.workload
        able = self._in_body if len(self._in_body) == 1 else self._able(budget)
        return able[0] if len(able) == 1 else None

    def take_waiting(self, workload: WorkloadLike, *, in_body: bool) -> list[Budget]:
        """Return the budgets that a workload decides, and that no measurement served yet.

        They count as served from then on.
        """
        found = [
            budget
            for budget in self._budgets
            if budget not in self._watched
            and is_measured(budget.limit, workload)  # if not, the test is told when it has run
            and (budget.workload is workload or (in_body and self._would_bind(budget, workload)))
        ]
        self._watched.update(found)
        return found

    def check(self) -> None:
        """Raise UsageError if a budget that needs a workload has none, or several."""
        for budget in self._budgets:
            if needs_workload(budget.limit) and self.workload_of(budget) is None:
                raise UsageError(self._unbound(budget))

    def _unbound(self, budget: Budget) -> str:
        stated = f"{budget.shown}: {budget.limit.keyword} names no workload"
        advice = (
            "Call quant.measure(workload) or quant.compare(…), or write workload=… in the marker"
        )
        able = self._able(budget)
        if self._in_body and not able:
            found = "; ".join(
                f"{one.name} measures {', '.join(one.metrics)}" for one in self._in_body
            )
            metric = budget.limit.metric or "right and wrong answers"
            return f"{stated}, and none that the test measured reports {metric}: {found}. {advice}"
        names = [one.name for one in able]
        if names:
            advice = "Write workload=… in the marker, or measure the others in tests of their own"
        if len({*names}) < len(names):
            advice = "A workload made twice is two: make it once, and measure that"
        found = ", ".join(names) or "none"
        return f"{stated}, so the test must measure exactly one; it measured {found}. {advice}"

    def _would_bind(self, budget: Budget, workload: WorkloadLike) -> bool:
        others = [one for one in self._able(budget) if one is not workload]
        return budget.workload is None and not others

    def _able(self, budget: Budget) -> list[WorkloadLike]:
        return [one for one in self._in_body if is_measured(budget.limit, one)]


def check_batch_size(budget: Budget) -> None:
    """Raise UsageError if a budget on a timed workload says no batch size, or another one."""
    if isinstance(budget.workload, Latency) and needs_workload(budget.limit):
        budget.workload.batch_size_of(budget.slice, shown=budget.shown)

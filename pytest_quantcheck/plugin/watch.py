"""The budgets of one test on one workload, decided as its examples come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantcheck.measure.course import select_pair
from pytest_quantcheck.plugin.drawn import drawn
from pytest_quantcheck.plugin.evaluate import correctness_metric
from pytest_quantcheck.plugin.slices import examples_of
from pytest_quantcheck.stats.sequential.trial import Trial, can_stop

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_quantcheck.core.budget import Budget
    from pytest_quantcheck.core.verdict import Verdict
    from pytest_quantcheck.measure.course import Course
    from pytest_quantcheck.measure.measurement import MeasuredPair
    from pytest_quantcheck.plugin.evaluate import Terms
    from pytest_quantcheck.stats.sequential.trial import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What was decided as examples came."""

    verdict: Verdict
    n_planned: int
    """Examples there are; of the budget's slice where it has one."""
    stopped_early: bool
    """Whether some of them were not needed."""
    n_batches: int
    """Batches of the workload it took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    """A budget that waits for its verdict."""

    budget: Budget
    plan: Plan
    trial: Trial


class Watch:
    """Takes in a workload batch by batch until every budget is decided.

    Parameters
    ----------
    budgets : mapping of Budget to Terms
        On one variant and workload. One that no early verdict exists for keeps measuring going
        to the end.
    course : Course
        All examples of the workload.
    """

    def __init__(self, budgets: Mapping[Budget, Terms], course: Course) -> None:
        self.settled: dict[Budget, Settled] = {}
        """The budgets decided so far."""
        self.n_batches = 0
        """Batches seen."""
        stoppable = [
            budget
            for budget, terms in budgets.items()
            if terms.looks_from is not None and can_stop(budget.limit, terms.target)
        ]
        self._needs_all = len(stoppable) < len(budgets)
        self._open = [_opened(budget, budgets[budget], course) for budget in stoppable]

    def update(self, batch: MeasuredPair) -> bool:
        """Take in one more batch; return whether no more are needed."""
        self.n_batches += 1
        self._open = [one for one in self._open if not self._is_settled(one, batch)]
        return not self._open and not self._needs_all

    def _is_settled(self, one: _Open, batch: MeasuredPair) -> bool:
        budget, trial = one.budget, one.trial
        mine = batch
        if budget.slice is not None:
            examples = batch.variant.examples
            mine = select_pair(batch, {each.id for each in examples if each.slice == budget.slice})
        metric = budget.limit.metric or correctness_metric(mine.variant)
        trial.update(mine.reference.scores[metric], mine.variant.scores[metric])
        if trial.verdict is None:
            return False
        self.settled[budget] = Settled(
            verdict=trial.verdict,
            n_planned=one.plan.n,
            stopped_early=trial.n < one.plan.n,
            n_batches=self.n_batches,
        )
        return True


class FirstBatches:
    """Asks for so many batches."""

    def __init__(self, count: int) -> None:
        self._left = count

    def update(self, batch: MeasuredPair) -> bool:
        """Count one more batch; return whether it was the last."""
        del batch
        self._left -= 1
        return self._left <= 0


def _opened(budget: Budget, terms: Terms, course: Course) -> _Open:
    plan = drawn(examples_of(budget, course.examples, workload=course.workload.name))
    trial = Trial(budget.limit, plan=plan, levels=terms.levels, target=terms.target)
    return _Open(budget=budget, plan=plan, trial=trial)

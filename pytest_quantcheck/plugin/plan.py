"""`--quant-plan`: what every selected budget can show, before a model is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from pytest_quantcheck.core.budget import Target
from pytest_quantcheck.core.metric import compares_models
from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.plugin.collect import PLAN
from pytest_quantcheck.plugin.pilots import REFERENCE, recall, recall_pace
from pytest_quantcheck.plugin.summary import Summary
from pytest_quantcheck.plugin.workers import Workers
from pytest_quantcheck.report.plan import Figures, PlannedCheck, render_duration, render_plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_quantcheck.core.budget import Budget
    from pytest_quantcheck.core.supplements import PilotRecord
    from pytest_quantcheck.core.verdict import Levels
    from pytest_quantcheck.plugin.session import QuantcheckSession
    from pytest_quantcheck.stats.plan import Assumptions, Plan
    from pytest_quantcheck.workloads.base import Workload
    from pytest_quantcheck.workloads.example import Example

_TEETH = 0.5


def register_reports(config: pytest.Config, session: QuantcheckSession) -> None:
    """Register what prints and starts workers; and the plan, where it is asked for."""
    config.pluginmanager.register(Summary(config, session), "quantcheck-summary")
    if not hasattr(config, "workerinput"):
        workers = Workers(session.settings.device)
        config.pluginmanager.register(workers, "quantcheck-workers")
    if config.getoption("quant_plan"):
        if config.pluginmanager.has_plugin("xdist"):
            config.option.dist = "no"  # there is nothing to distribute: this process collects
        config.pluginmanager.register(Planner(config, session), "quantcheck-plan")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counted:
    """The examples of one budget."""

    n: int
    n_clusters: int | None
    effect: float
    """Examples that tell as much as one, if those of a cluster are alike."""
    in_workload: int
    """Examples of the whole workload, where the budget is on a slice."""


class Planner:
    """Prints the plan in place of running tests."""

    def __init__(self, config: pytest.Config, session: QuantcheckSession) -> None:
        self._config = config
        self._session = session
        self._asked: dict[tuple[str, str, str], int] = {}
        """Examples of each model, variant and workload; a timing counts as one."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Print the plan; errors of collection are left to pytest."""
        if session.testsfailed and not self._config.getoption("continue_on_collection_errors"):
            return None
        if self._session.collection.family_error:
            raise pytest.UsageError(self._session.collection.family_error)
        checks: list[PlannedCheck] = []
        errors: list[str] = []
        for item in session.items:
            try:
                checks += self._planned(item)
            except (MeasurementError, UsageError) as error:
                session.testsfailed += 1
                errors.append(f"ERROR {item.nodeid}: {error}")
                if isinstance(error, UsageError):
                    self._session.ledger.usage_errors.append(str(error))
        self._print(checks, errors)
        return True

    def _print(self, checks: Sequence[PlannedCheck], errors: Sequence[str]) -> None:
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if terminal is None:
            return
        session = self._session
        alpha, family = session.settings.alpha, session.collection.family_size
        fail = f"{alpha:g}/{family} = {alpha / family:.3g}"
        title = f"quantcheck plan · PASS at alpha {alpha:g}, FAIL at {fail}"
        terminal.ensure_newline()
        terminal.write_sep("=", title, bold=True)
        for line in render_plan(checks):
            terminal.write_line(line, yellow=line.startswith(" warning"))
        if self._asked:
            terminal.write_line(render_duration(self._seconds()))
        for line in errors:
            terminal.write_line(line, red=True)

    def _seconds(self) -> list[tuple[float, str] | None]:
        """Return how long each measurement took where; None for one that is not known."""
        found = []
        for (model, variant, workload), n in self._asked.items():
            pace = recall_pace(self._config, model=model, variant=variant, workload=workload)
            found.append(pace and (pace[0] * n, pace[1]))
        return found

    def _planned(self, item: pytest.Item) -> Iterator[PlannedCheck]:
        if PLAN not in item.stash:
            return
        plan = item.stash[PLAN]
        for budget in plan.budgets:
            yield self._plan(item.nodeid, budget, plan.model.label if plan.model else "")

    def _plan(self, nodeid: str, budget: Budget, model: str) -> PlannedCheck:
        workload, limit = budget.workload, budget.limit
        pilot = recall(self._config, nodeid, budget)
        name = workload.name if workload else pilot.workload if pilot else "(in the test)"
        if limit.is_of_serving:
            from pytest_quantcheck.plugin.timing_plan import plan_timing

            if workload or pilot:
                self._asked[model, budget.variant, name] = 1
            return plan_timing(budget, pilot, self._levels)
        place = name + (f"[{budget.slice}]" if budget.slice else "")
        if not limit.is_statistical:
            return PlannedCheck(
                workload="(weights)", variant=budget.variant, limit=limit, source="exact"
            )
        counted = self._count(budget, pilot)
        if counted:
            asked = ((model, variant, name) for variant in (REFERENCE, budget.variant))
            self._asked |= dict.fromkeys(asked, counted.in_workload)
        is_tested = self._session.settings.target_of(budget) is Target.POPULATION
        source = "last run" if pilot else "assumed"
        is_planned = not compares_models(limit.metric)
        if not is_planned:
            source = "not planned: depends on the predictions"
        if not is_tested or counted is None:
            source = "n is known after a run" if is_tested else "these examples only"
        has_figures = is_tested and is_planned
        return PlannedCheck(
            workload=place,
            variant=budget.variant,
            limit=limit,
            n=counted.n if counted else None,
            n_clusters=counted.n_clusters if counted else None,
            figures=self._figures(budget, pilot, counted) if has_figures and counted else None,
            source=source,
        )

    @property
    def _levels(self) -> Levels:
        from pytest_quantcheck.stats.family import levels

        return levels(self._session.settings.alpha, self._session.collection.family_size)

    def _count(self, budget: Budget, pilot: PilotRecord | None) -> _Counted | None:
        """Return how many examples there are: those read now, or those of the last run."""
        if budget.workload is None:
            if pilot is None:
                return None
            n = pilot.n_planned or pilot.n
            size = pilot.n / pilot.n_clusters if pilot.n_clusters else 1.0
            n_clusters = round(n / size) if pilot.n_clusters else None
            return _Counted(n=n, n_clusters=n_clusters, effect=size, in_workload=n)
        from pytest_quantcheck.plugin.slices import examples_of

        settings = self._session.settings
        workload: Workload[Any] = budget.workload  # type: ignore[assignment]  # one of ours
        examples = workload.examples(max_examples=settings.max_examples, seed=settings.seed)
        mine = examples_of(budget, examples, workload=workload.name)
        return _count(mine, in_workload=len(examples))

    def _figures(self, budget: Budget, pilot: PilotRecord | None, counted: _Counted) -> Figures:
        from pytest_quantcheck.core.verdict import Outcome
        from pytest_quantcheck.stats.plan import Plan
        from pytest_quantcheck.stats.teeth import alternative

        session = self._session
        assuming = _assumptions(budget, pilot, counted)
        plan = Plan(
            limit=budget.limit,
            levels=self._levels,
            assuming=assuming,
        )
        gross = alternative(budget.limit, assuming.bounds)
        power = None if gross is None else plan.chance(Outcome.FAIL, n=counted.n, true=gross)
        is_counted = session.waivers.shares_alpha(budget, session.settings)
        return Figures(
            smallest_fail=plan.smallest_fail(counted.n),
            largest_pass=plan.largest_pass(counted.n),
            needed_n=self._needed(plan, counted),
            power=power,
            power_at=gross,
            is_toothless=power is not None and power < _TEETH and is_counted,
            expected_n=self._expected(plan, counted),
        )

    def _needed(self, plan: Plan, counted: _Counted) -> int | None:
        """Return the examples for PASS, more of them where so many are looked at as they come."""
        from pytest_quantcheck.stats.sequential.plan import needed_with_looks

        needed, smallest = plan.needed(plan.best), self._session.settings.sequential.smallest
        if needed is None or smallest is None:
            return needed
        in_workload = needed * counted.in_workload / counted.n
        return needed_with_looks(plan, plan.best) if in_workload >= smallest else needed

    def _expected(self, plan: Plan, counted: _Counted) -> int | None:
        """Return the examples until a verdict; None where all are measured in any case."""
        from pytest_quantcheck.stats.sequential.plan import expected_n

        smallest = self._session.settings.sequential.smallest
        if smallest is None or counted.in_workload < smallest:
            return None
        return expected_n(plan, counted.n, true=plan.best)


def _count(examples: Sequence[Example[Any]], *, in_workload: int) -> _Counted:
    """Return how many examples and clusters there are; one without a cluster is its own."""
    sizes: dict[object, int] = {}
    for example in examples:
        key = (example.cluster,) if example.cluster is not None else example.id
        sizes[key] = sizes.get(key, 0) + 1
    is_clustered = any(example.cluster is not None for example in examples)
    return _Counted(
        n=len(examples),
        n_clusters=len(sizes) if is_clustered else None,
        effect=sum(size**2 for size in sizes.values()) / len(examples),
        in_workload=in_workload,
    )


def _assumptions(budget: Budget, pilot: PilotRecord | None, counted: _Counted) -> Assumptions:
    """Return what the last run told, or else the defaults, with the clusters of today."""
    from dataclasses import replace

    from pytest_quantcheck.stats.pilot import learn
    from pytest_quantcheck.stats.plan import Assumptions

    bounds = _bounds(budget)
    found = learn(budget.limit, pilot, bounds=bounds) if pilot else Assumptions(bounds=bounds)
    size = counted.n / counted.n_clusters if counted.n_clusters else 1.0
    effect = counted.effect if found.design_effect is None else found.design_effect
    return replace(found, cluster_size=size, design_effect=effect)


def _bounds(budget: Budget) -> tuple[float, float] | None:
    """Return the range of scores, where the workload has one for the budget's metric."""
    scoring = getattr(budget.workload, "output_scoring", None)
    if scoring is None:
        return None
    sources = zip(scoring.metrics, (*scoring.scorers, scoring.judge), strict=False)
    found: dict[str, tuple[float, float] | None] = {
        name: source.bounds for name, source in sources if source is not None
    }
    return found.get(budget.limit.metric or "")

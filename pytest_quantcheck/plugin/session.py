"""One pytest session with quantcheck tests in it: collection, runs, reports."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_quantcheck.core.plain import to_builtins
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.plugin import collect, models
from pytest_quantcheck.plugin.collect import MARKER, PLAN, ItemPlan
from pytest_quantcheck.plugin.journal import Journalist
from pytest_quantcheck.plugin.ledger import Ledger
from pytest_quantcheck.plugin.longrepr import command_of, dress, failure_of, layout_of
from pytest_quantcheck.plugin.outbox import Outbox
from pytest_quantcheck.plugin.properties import add_properties
from pytest_quantcheck.plugin.reported import reported_errors
from pytest_quantcheck.plugin.settings import Settings, read_settings
from pytest_quantcheck.plugin.waiver import Waivers, excuse, excuse_of, toothless_text
from pytest_quantcheck.stats.family import family_size

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_quantcheck.core.budget import Budget
    from pytest_quantcheck.core.protocols import WorkloadLike
    from pytest_quantcheck.core.record import ItemRecord
    from pytest_quantcheck.measure.handle import Handle
    from pytest_quantcheck.plugin.fixtures import Quant
    from pytest_quantcheck.plugin.laboratory import Laboratories, Laboratory
    from pytest_quantcheck.report.gallery import Layout

SESSION = pytest.StashKey["QuantcheckSession"]()
QUANT = pytest.StashKey["Quant"]()
RECORD = pytest.StashKey["ItemRecord"]()
EXCUSE = pytest.StashKey[str]()
USAGE_ERROR = pytest.StashKey[str]()


def start(config: pytest.Config) -> QuantcheckSession:
    """Return the session's quantcheck, made and registered when first asked for.

    Raises
    ------
    pytest.UsageError
        A setting is wrong.
    """
    if SESSION not in config.stash:
        from pytest_quantcheck.plugin.plan import register_reports

        try:
            settings = read_settings(config)
        except UsageError as error:
            raise pytest.UsageError(str(error)) from None
        session = config.stash[SESSION] = QuantcheckSession(config, settings)
        config.pluginmanager.register(session, "quantcheck-session")
        register_reports(config, session)
    return config.stash[SESSION]


class QuantcheckSession:
    """Plans what tests decide, hands out fixtures, and turns verdicts into outcomes."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        now = dt.datetime.now(dt.UTC)
        self.settings = settings
        self.waivers = Waivers(now.date(), is_off=config.getoption("runxfail", default=False))
        self.ledger = Ledger(started=now.isoformat(timespec="seconds"))
        self.journal = Journalist(settings.json_path, started=self.ledger.started)
        self.outbox = Outbox(is_asked=settings.keeps_examples, redact=settings.redact)
        self._config = config
        self._budgets: dict[str, tuple[Budget, ...]] = {}
        self._n_marks: dict[str, int] = {}
        self._group_markers = collect.GroupMarkers()
        self.plans: list[ItemPlan] = []
        self._places: dict[str, int] = {}
        self.family_error: str | None = None
        self.n_collected = 0
        """Statistical budgets collected, before any is deselected."""
        self.family_size = settings.family_size or 1
        self._laboratories: Laboratories | None = None
        self._decided: dict[str, ItemRecord] = {}

    # Collection

    def generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Parametrize one test over its variants, or fail its module's collection."""
        definition = metafunc.definition
        try:
            if models.MARKER in metafunc.fixturenames:
                models.planned_model(definition, self.settings)
            if not _needs_variants(metafunc):
                return
            variants = collect.variants_of(definition, self.settings)
            if "quant" in metafunc.fixturenames:
                self._budgets[definition.nodeid] = collect.budgets_of(definition, self.settings)
                self._n_marks[definition.nodeid] = _n_marks(definition)
        except UsageError as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None
        metafunc.parametrize("quant_variant", variants, indirect=True, ids=variants)

    def refuse_orphans(self, collector: pytest.Collector, report: pytest.CollectReport) -> None:
        """Turn `report` into an error if a marker below `collector` would never be decided."""
        messages = [
            *collect.orphans_of(report.result or ()),
            *models.orphans_of(report.result or ()),
            *self._group_markers.orphans_of(report, collector),
        ]
        if report.outcome == "passed" and messages:
            report.outcome = "failed"
            report.longrepr = "\n".join(messages)
            report.result = []

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, items: list[pytest.Item]
    ) -> Generator[None, object, object]:
        """Plan and count before anything is deselected; group our items by variant."""
        for item in items:
            self._plan(item)
        planned = [item.stash[PLAN] for item in items if PLAN in item.stash]
        self.n_collected = collect.count_budgets(self._config, planned)
        try:
            self.family_size = family_size(self.n_collected, self.settings.family_size)
        except UsageError as error:
            self.family_error = str(error)
        items[:] = collect.grouped(items)
        n_marks = {item: collect.n_planned_marks(item, self._n_marks) for item in items}
        result = yield
        for item in items:
            # A plugin may have added tests of its own by now.
            if _n_marks(item) != n_marks.get(item, collect.n_planned_marks(item, self._n_marks)):
                item.stash[USAGE_ERROR] = collect.late_marker(item)
        self.plans = [item.stash[PLAN] for item in items if PLAN in item.stash]
        self._places = {item.nodeid: place for place, item in enumerate(items)}
        return result

    def _plan(self, item: pytest.Item) -> None:
        budgets = self._budgets.get(collect.definition_id(item))
        if budgets is None:
            return
        where = collect.location_of(item)
        variant = item.callspec.params["quant_variant"]  # type: ignore[attr-defined]  # parametrized above
        mine = [budget for budget in budgets if budget.variant == variant]
        try:
            model = models.planned_model(item, self.settings)
        except UsageError as error:  # of a marker in pytest.param, not seen before
            model, item.stash[USAGE_ERROR] = self.settings.model, str(error)
        item.stash[PLAN] = ItemPlan(
            variant=variant,
            budgets=tuple(replace(self.waivers.in_force(one), location=where) for one in mine),
            location=where,
            n_in_family=sum(self.waivers.shares_alpha(budget, self.settings) for budget in mine),
            model=model,
            model_group=models.group_of(item, model),
        )

    # Fixtures

    @property
    def compared(self) -> tuple[WorkloadLike, ...]:
        """The workloads on which a budget of any test collected compares predictions."""
        budgets = (budget for found in self._budgets.values() for budget in found)
        return collect.compared_workloads(budgets)

    @property
    def laboratories(self) -> Laboratories:
        """Where models live; made when the first test needs one."""
        if self._laboratories is None:
            from pytest_quantcheck.plugin.laboratory import Laboratories

            self._laboratories = Laboratories(self._config, self)
        return self._laboratories

    def laboratory_of(self, item: pytest.Item) -> Laboratory:
        """Return where the model of one test lives."""
        return self.laboratories.of(item.stash[models.MODEL])

    def model_name(self, item: pytest.Item) -> str:
        """Return the model of a test as markers and settings name it."""
        with reported_errors():
            return models.model_of(item, self.settings).name

    def handle(self, item: pytest.Item, model_name: str, variant: str | None) -> Handle:
        """Return the handle of a variant of a test's model; None is the reference."""
        with reported_errors():
            item.stash[models.MODEL] = models.model_of(item, self.settings, model_name)
            return self.laboratory_of(item).handle(variant)

    def quant(self, item: pytest.Item, handle: Handle) -> Quant:
        """Return the fixture of one test, with the workloads of its markers measured."""
        from pytest_quantcheck.plugin.fixtures import Quant

        with reported_errors():
            for message in (item.stash.get(USAGE_ERROR, None), self.family_error):
                if message:
                    raise UsageError(message)
            plan = item.stash[PLAN]
            if models.MODEL not in item.stash:
                raise UsageError(collect.replaced_fixture(plan.location, "quant_variant"))
            laboratory = self.laboratory_of(item)
            laboratory.prefetch([p for p in self.plans if p.model_group == plan.model_group])
            quant = item.stash[QUANT] = Quant(self, item, handle)
            quant.measure_marked()
        return quant

    def reproduce(self, nodeid: str) -> str:
        """Return the command that decides one test alone as this run did."""
        return command_of(self._config, nodeid, family_size=self.family_size)

    def layout(self) -> Layout:
        """Return how failures are laid out on this run's terminal."""
        return layout_of(self._config)

    def receive(self, report: pytest.TestReport) -> None:
        """Keep what a report carries; where pytest reports, let it show failures our way."""
        reported = self.ledger.add(report)
        if not hasattr(self._config, "workerinput"):
            # They are large, and no other plugin's business.
            self.journal.add(reported, report.quantcheck.pop("examples", ()))
            dress(report)

    # Running

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """Stop a test whose marker came too late, and show our errors in any fixture."""
        with reported_errors():
            if (message := item.stash.get(USAGE_ERROR, None)) is not None:
                raise UsageError(message)
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        """Decide the budgets when the test's body has run: red in its own call phase."""
        with reported_errors():
            result = yield
            if PLAN not in pyfuncitem.stash:
                return result
            if (quant := pyfuncitem.stash.get(QUANT, None)) is None:
                raise UsageError(collect.replaced_fixture(pyfuncitem.stash[PLAN].location))
            known = self._decided.get(pyfuncitem.nodeid)
            record = known or quant.decide()
        self._decided[pyfuncitem.nodeid] = pyfuncitem.stash[RECORD] = record
        add_properties(pyfuncitem, record)
        for check in () if known else record.checks:
            self._config.hook.pytest_quantcheck_record(record=check)
        toothless = toothless_text(record.checks)
        if text := quant.failure_text(record):
            pyfuncitem.stash[EXCUSE] = "" if toothless else excuse_of(record.checks)
            pytest.fail("\n".join(filter(None, (text, toothless))), pytrace=False)
        if toothless:
            raise pytest.fail.Exception(toothless, pytrace=False) from UsageError(toothless)
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Attach what is known to the report, in types that travel."""
        report = yield
        if call.when == "call" and report.failed and (reason := item.stash.get(EXCUSE, "")):
            excuse(report, reason)
        error = call.excinfo.value if call.excinfo else None
        cause = (error.__cause__ or error.__context__) if error else None
        if PLAN in item.stash or isinstance(cause, UsageError):
            data: dict[str, object] = {"place": self._places.get(item.nodeid, 0)}
            if (text := failure_of(call)) is not None:
                data["failure"] = text
            if isinstance(cause, UsageError):
                data["usage_error"] = str(cause)
            if call.when == "call" and RECORD in item.stash:
                data["item"] = to_builtins(item.stash[RECORD])
            data["examples"] = self.outbox.take()
            report.quantcheck = data  # type: ignore[attr-defined]  # travels with the report
        return report

    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        """Let go of the measurements a test's fixture holds."""
        if QUANT in item.stash:
            del item.stash[QUANT]

    def pytest_unconfigure(self) -> None:
        """Free every model."""
        if self._laboratories is not None:
            self._laboratories.close()


def _needs_variants(metafunc: pytest.Metafunc) -> bool:
    """Whether a test is parametrized over variants, or should be."""
    names = metafunc.fixturenames
    marked = any(mark.name == MARKER for mark in metafunc.definition.own_markers)
    return "quant_variant" in names or marked


def _n_marks(item: pytest.Item) -> int:
    return sum(1 for _ in item.iter_markers(MARKER))

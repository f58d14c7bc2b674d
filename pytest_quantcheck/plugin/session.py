"""One pytest session with quantcheck tests in it: fixtures, runs, reports."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from pytest_quantcheck.core.plain import to_builtins
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.plugin import models
from pytest_quantcheck.plugin.collect import PLAN, location_of
from pytest_quantcheck.plugin.collection import USAGE_ERROR, Collection
from pytest_quantcheck.plugin.journal import Journalist
from pytest_quantcheck.plugin.ledger import Ledger
from pytest_quantcheck.plugin.longrepr import (
    command_of,
    dress,
    failure_of,
    layout_of,
    show_theirs,
)
from pytest_quantcheck.plugin.orphans import replaced_fixture
from pytest_quantcheck.plugin.outbox import Outbox
from pytest_quantcheck.plugin.properties import add_properties
from pytest_quantcheck.plugin.reported import reported_errors
from pytest_quantcheck.plugin.settings import Settings, read_settings
from pytest_quantcheck.plugin.waiver import Waivers, excuse, excuse_of, toothless_text

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_quantcheck.core.protocols import BackendSpec
    from pytest_quantcheck.core.record import ItemRecord
    from pytest_quantcheck.measure.handle import Handle
    from pytest_quantcheck.plugin.fixtures import Quant
    from pytest_quantcheck.plugin.laboratory import Laboratories, Laboratory
    from pytest_quantcheck.report.gallery import Layout

SESSION = pytest.StashKey["QuantcheckSession"]()
QUANT = pytest.StashKey["Quant"]()
RECORD = pytest.StashKey["ItemRecord"]()
EXCUSE = pytest.StashKey[str]()


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
        config.pluginmanager.register(session.collection, "quantcheck-collection")
        register_reports(config, session)
    return config.stash[SESSION]


class QuantcheckSession:
    """Hands out fixtures, and turns verdicts into outcomes."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        now = dt.datetime.now(dt.UTC)
        self._config = config
        self.settings = settings
        self.waivers = Waivers(now.date(), is_off=config.getoption("runxfail", default=False))
        self.ledger = Ledger(started=now.isoformat(timespec="seconds"))
        self.journal = Journalist(settings.json_path, started=self.ledger.started)
        self.outbox = Outbox(is_asked=settings.keeps_examples, redact=settings.redact)
        self.collection = Collection(config, settings, self.waivers)
        self._laboratories: Laboratories | None = None
        self._decided: dict[str, ItemRecord] = {}

    def pytest_quantcheck_backends(self) -> tuple[BackendSpec, ...]:
        """Return the built-in backends."""
        from pytest_quantcheck.measure.backends import BUILTIN_BACKENDS

        return tuple(BUILTIN_BACKENDS.values())

    # Fixtures

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

    def variant_asked(self, request: pytest.FixtureRequest) -> str:
        """Return the variant over which a test is parametrized."""
        with reported_errors():
            if not hasattr(request, "param"):
                raise UsageError(
                    f"{location_of(request.node)} ({request.node.nodeid}): the fixture "
                    "quant_variant was asked for while the test ran, as by "
                    "request.getfixturevalue, when it was too late to repeat the test for each "
                    "variant; make quant or quant_variant an argument of the test"
                )
            return str(request.param)

    def handle(self, item: pytest.Item, model_name: str, variant: str | None) -> Handle:
        """Return the handle of a variant of a test's model; None is the reference."""
        with reported_errors():
            model = item.stash[models.MODEL] = models.model_of(item, self.settings, model_name)
            self.collection.learn_model(item, model)
            return self.laboratory_of(item).handle(variant)

    def quant(self, item: pytest.Item, handle: Handle) -> Quant:
        """Return the fixture of one test, with the workloads of its markers measured."""
        from pytest_quantcheck.plugin.fixtures import Quant

        with reported_errors():
            if self.collection.family_error:
                raise UsageError(self.collection.family_error)
            plan = item.stash[PLAN]
            if models.MODEL not in item.stash:
                raise UsageError(replaced_fixture(plan.location, "quant_variant"))
            laboratory = self.laboratory_of(item)
            laboratory.prefetch(
                [p for p in self.collection.plans if p.model_group == plan.model_group]
            )
            quant = item.stash[QUANT] = Quant(self, item, handle)
            quant.measure_marked()
        return quant

    def reproduce(self, nodeid: str) -> str:
        """Return the command that decides one test alone as this run did."""
        return command_of(self._config, nodeid, family_size=self.collection.family_size)

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
                raise UsageError(replaced_fixture(pyfuncitem.stash[PLAN].location))
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
        show_theirs(call, self._config)
        report = yield
        if call.when == "call" and report.failed and (reason := item.stash.get(EXCUSE, "")):
            excuse(report, reason)
        error = call.excinfo.value if call.excinfo else None
        cause = (error.__cause__ or error.__context__) if error else None
        if PLAN in item.stash or isinstance(cause, UsageError):
            data: dict[str, object] = {"place": self.collection.place_of(item)}
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

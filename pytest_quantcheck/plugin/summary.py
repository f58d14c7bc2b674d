"""What the session says about itself: header, outcome letters, summary, files, exit status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_quantcheck.core.budget import Gate
from pytest_quantcheck.core.quantity import format_count
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.plugin.collect import PLAN
from pytest_quantcheck.plugin.files import Files
from pytest_quantcheck.plugin.longrepr import COLUMNS, columns_of
from pytest_quantcheck.plugin.pilots import remember
from pytest_quantcheck.report.terminal import by_model, render_final, render_summary, title_lines

if TYPE_CHECKING:
    from pytest_quantcheck.core.record import EnvironmentRecord, RunRecord
    from pytest_quantcheck.plugin.session import QuantcheckSession

_WRONG_USE = f"{UsageError.__module__}.{UsageError.__qualname__}"
_COLOURS = {"pass": {"green": True}, "fail": {"red": True}, "inconclusive": {"yellow": True}}


class Summary:
    """Writes everything that is a function of records."""

    def __init__(self, config: pytest.Config, session: QuantcheckSession) -> None:
        self._config = config
        self._session = session
        self._has_collect_errors = False
        self._files = Files(session.settings, session.journal)

    def pytest_report_collectionfinish(self, items: list[pytest.Item]) -> str | None:
        """Return one line on what is about to be measured, if anything of ours is selected."""
        planned = [item.stash[PLAN] for item in items if PLAN in item.stash]
        if not planned or self._config.get_verbosity() < 0:
            return None
        collection, settings = self._session.collection, self._session.settings
        variants = ", ".join(dict.fromkeys(plan.variant for plan in planned))
        names = (plan.model.label if plan.model else "a fixture's model" for plan in planned)
        return (
            f"quantcheck: {', '.join(dict.fromkeys(names))}, {settings.reference} reference, "
            f"variants {variants}, alpha {settings.alpha:g} over "
            f"{format_count(collection.n_budgets, 'budget')} (family {collection.family_size})"
        )

    def pytest_report_teststatus(
        self, report: pytest.CollectReport | pytest.TestReport
    ) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """Show a test without evidence as what it is; its outcome stays one of pytest's."""
        if getattr(report, "when", None) != "call" or report.outcome != "passed":
            return None
        item = getattr(report, "quantcheck", {}).get("item")
        if not item or item["outcome"] != "inconclusive":
            return None
        return "inconclusive", "?", ("INCONCLUSIVE", {"yellow": True})

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Remember that a module was refused because of a marker or a workload."""
        shown = str(report.longrepr) if report.failed else ""
        if "quant_" in shown or _WRONG_USE in shown:
            self._has_collect_errors = True

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:  # noqa: ANN401 - xdist has no types
        """Tell a worker of xdist how wide the terminal is."""
        node.workerinput[COLUMNS] = columns_of(self._config)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the files, call the last hook, and keep the exit status honest."""
        if hasattr(self._config, "workerinput"):
            return
        session.exitstatus = self._exit_status(int(session.exitstatus))
        if not self._session.ledger.n_reached:
            return
        run = self._session.ledger.run()
        remember(self._config, run)
        run = self._files.write(run)
        if session.exitstatus == pytest.ExitCode.OK and self._files.is_missing_some:
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
        self._config.hook.pytest_quantcheck_finish(run=run)

    def pytest_unconfigure(self) -> None:
        """Close what a run that was cut short keeps of itself."""
        self._session.journal.close()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the tables and the final line."""
        ledger = self._session.ledger
        if not ledger.n_reached:
            return
        run = ledger.run()
        for environment, part in by_model(run):
            self._write_model(terminalreporter, environment, part)
        for nodeid in self._inconclusive_listed():
            terminalreporter.write_line(f"INCONCLUSIVE {nodeid}", yellow=True)
        for text in self._files.lines:
            terminalreporter.write_line(text)
        if github := self._session.settings.github:
            for text in github.lines(run):
                terminalreporter.write_line(text)
        terminalreporter.write_line(render_final(run))

    def _write_model(
        self, terminal: pytest.TerminalReporter, environment: EnvironmentRecord, run: RunRecord
    ) -> None:
        width = self._config.get_terminal_writer().fullwidth
        title, *rest = title_lines(environment, width=width)
        terminal.write_sep("=", title, bold=True)
        for text in rest:
            terminal.write_line(text, bold=True)
        for line in render_summary(run, width=width):
            terminal.write_line(line.text, **_COLOURS.get(line.outcome or "", {}))

    def _inconclusive_listed(self) -> list[str]:
        asked = set(self._config.getoption("reportchars"))
        return self._session.ledger.items_with("inconclusive") if asked & set("aAP") else []

    def _exit_status(self, status: int) -> int:
        """Return the exit status: never that of a regression for a wrong setting or marker."""
        ledger = self._session.ledger
        failed = any(check.is_red and not check.is_waived for check in ledger.checks)
        if status == pytest.ExitCode.TESTS_FAILED and not failed:
            if self._has_collect_errors:
                return int(pytest.ExitCode.INTERRUPTED)
            if ledger.usage_errors:
                return int(pytest.ExitCode.USAGE_ERROR)
        is_strict = self._session.settings.gate is Gate.STRICT
        nothing = is_strict and ledger.n_reached and not ledger.checks
        if status == pytest.ExitCode.OK and nothing:
            return int(pytest.ExitCode.TESTS_FAILED)
        return status

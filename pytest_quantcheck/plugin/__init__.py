"""What pytest loads in every run: options, the marker, fixture stubs, and the door to the rest.

Nothing else of the package is imported here before a quantcheck test or setting is seen, so that a
run without one pays next to nothing. `session.py` does the work once `activate` is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_quantcheck.plugin.options import ALL_OPTIONS, declare, key_of

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_quantcheck.measure.handle import Handle
    from pytest_quantcheck.plugin.fixtures import Quant
    from pytest_quantcheck.plugin.session import QuantcheckSession

_BUDGET = (
    "quant_budget(*variants, workload=None, slice=None, <limits>, gate=None, target=None, "
    "reason=None, waive_until=None): what quantization may cost; the test must request the "
    "fixture `quant`. Example: quant_budget('int8', workload=triage, max_accuracy_drop=0.01)"
)
_MODEL = (
    "quant_model(model=None, *, revision=None, adapter=None, merge=False): the model under test"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare `--quant-…` and the ini settings `quant_…`."""
    declare(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks of `hookspecs.py`."""
    from pytest_quantcheck import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker; check the settings at once if there are any."""
    config.addinivalue_line("markers", _BUDGET)
    config.addinivalue_line("markers", _MODEL)
    config.pluginmanager.register(_Doorkeeper(config), "quantcheck-doorkeeper")
    if _has_settings(config):
        activate(config)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize tests of `quant` and `quant_variant` over variants; check their model."""
    if "quant_model" in metafunc.fixturenames or _is_marked(metafunc.definition):
        activate(metafunc.config).collection.generate_tests(metafunc)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Refuse markers on tests that would never decide them."""
    report = yield
    if any(map(_is_marked, (*collector.listchain(), *(report.result or ())))):
        activate(collector.config).collection.refuse_orphans(collector, report)
    return report


def activate(config: pytest.Config) -> QuantcheckSession:
    """Return the session's quantcheck, started when first asked for."""
    from pytest_quantcheck.plugin.session import start

    return start(config)


def _is_marked(node: pytest.Item | pytest.Collector) -> bool:
    marks = getattr(node, "own_markers", ())
    return any(mark.name in {"quant_budget", "quant_model"} for mark in marks)


def _has_settings(config: pytest.Config) -> bool:
    """Whether a setting of ours stands anywhere, known or not."""
    if any(config.getoption(key_of(name)) is not None for name in ALL_OPTIONS):
        return True
    files = {config.inipath, config.rootpath / "pyproject.toml"}
    texts = (file.read_bytes() for file in files if file is not None and file.is_file())
    return any(b"quant_" in text or b"[tool.quantcheck" in text for text in texts)


class _Doorkeeper:
    """Lets the rest in when a report of another process mentions quantcheck."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if hasattr(report, "quantcheck"):
            activate(self._config).receive(report)

    @pytest.hookimpl(trylast=True)
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        manager = self._config.pluginmanager
        shown = str(report.longrepr) if report.failed else ""
        is_ours = "quant_" in shown or "pytest_quantcheck.errors" in shown
        if is_ours and not manager.has_plugin("quantcheck-summary"):
            activate(self._config)
            summary: Any = manager.get_plugin("quantcheck-summary")
            summary.pytest_collectreport(report)


@pytest.fixture
def quant_model(request: pytest.FixtureRequest) -> str:
    """Model under test; override it to name another, as a hub id or a folder."""
    return activate(request.config).model_name(request.node)


@pytest.fixture
def quant_variant(request: pytest.FixtureRequest, quant_model: str) -> Handle:
    """Handle of this test's variant; parametrizes the test over the variants."""
    session = activate(request.config)
    return session.handle(request.node, quant_model, session.variant_asked(request))


@pytest.fixture
def quant(request: pytest.FixtureRequest, quant_variant: Handle) -> Quant:
    """Variant and budgets of the test: measures, and decides when the test has run."""
    return activate(request.config).quant(request.node, quant_variant)


def _handle(name: str, variant: str | None, text: str) -> object:
    def handle(request: pytest.FixtureRequest, quant_model: str) -> Handle:
        return activate(request.config).handle(request.node, quant_model, variant)

    handle.__doc__ = f"Handle of {text}, loaded when first used."
    return pytest.fixture(handle, name=name)


reference_model = _handle("reference_model", None, "the reference")
fp16_model = _handle("fp16_model", "fp16", "the model in fp16")
int8_model = _handle("int8_model", "int8", "the model in int8 (LLM.int8)")
int4_model = _handle("int4_model", "int4", "the model in int4 (NF4)")

"""A project with a fake backend, run by pytest inside pytest."""

from __future__ import annotations

import json
import os
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator
from timed_suite import TABLES
from warm_workers import PLUGIN_MODULES, WarmWorkers

import pytest_quantcheck

if TYPE_CHECKING:
    from collections.abc import Iterator

# pytest run inside pytest forgets what it imported: what is imported here stays, once.
for name in PLUGIN_MODULES:
    import_module(name)


FAKES = Path(__file__).parent.parent / "fakes"
PYPROJECT = """\
[tool.pytest.ini_options]
quant_model = "model"
quant_variants = ["int8", "int4"]
quant_reference = "fp16"
quant_device = "cpu"
{ini}

[tool.quantcheck.variants.fp16]
backend = "fake"
precision = "fp16"

[tool.quantcheck.variants.int8]
backend = "fake"
precision = "lossy-0"

[tool.quantcheck.variants.int4]
backend = "fake"
precision = "lossy-200"

[tool.quantcheck.variants.mild]
backend = "fake"
precision = "lossy-12"
{tables}
"""

CONFTEST = """\
import pytest
import quantcheck_fake

@pytest.hookimpl(optionalhook=True)
def pytest_quantcheck_backends():
    return quantcheck_fake.SPECS
"""

WORKLOADS = """\
import pytest
from pytest_quantcheck import Documents, Generation, MultipleChoice

def rows(n, **fields):
    return [{"id": f"e{i}", **{k: v(i) if callable(v) else v for k, v in fields.items()}}
            for i in range(n)]

quiz = MultipleChoice.from_examples(
    rows(1000, context=lambda i: f"question {i}:", choices=[" right", " wrong"], answer=0),
    name="quiz")
essay = Generation.from_examples(
    rows(1000, prompt=lambda i: f"write {i}", answer="right"), name="essay", max_new_tokens=8)
manual = Documents.from_examples(
    rows(60, text=lambda i: f"page {i} " + "of the manual " * (5 + i % 4)), name="manual")

def large(name, n=2400, **fields):
    return MultipleChoice.from_examples(
        rows(n, context=lambda i: f"question {i}:", choices=[" right", " wrong"], answer=0,
             **fields), name=name)

invoice = large("invoice")
"""


@cache
def _validator() -> Draft202012Validator:
    path = Path(pytest_quantcheck.__file__).parent / "report" / "schema.json"
    return Draft202012Validator(json.loads(path.read_text(encoding="utf-8")))


class Project:
    """A user's repository in small."""

    def __init__(
        self,
        pytester: pytest.Pytester,
        monkeypatch: pytest.MonkeyPatch,
        workers: WarmWorkers,
    ) -> None:
        self.pytester = pytester
        self._workers = workers
        self._monkeypatch = monkeypatch
        (pytester.path / "model").mkdir()
        self.settings()
        pytester.makeconftest(CONFTEST)

    def settings(self, ini: str = "", tables: str = "") -> None:
        """Write pyproject.toml with further settings."""
        (self.pytester.path / "pyproject.toml").write_text(
            PYPROJECT.format(ini=ini, tables=tables), encoding="utf-8"
        )

    def tests(self, source: str, name: str = "test_suite") -> None:
        """Write a test module after the workloads."""
        self.pytester.makepyfile(**{name: WORKLOADS + source})

    def run(self, *args: str) -> pytest.RunResult:
        """Run pytest in this process, with the plugins that are asked for and no others."""
        asked = ["quantcheck"]
        workers = any(arg.startswith(("-n", "--numprocesses")) for arg in args)
        asked += ["xdist"] if workers else []
        asked += ["rerunfailures"] if any(arg.startswith("--reruns") for arg in args) else []
        plugins = (part for name in asked for part in ("-p", name))
        plain = ("--import-mode=prepend", f"--override-ini=pythonpath={FAKES}", *args)
        with self._monkeypatch.context() as patched:
            patched.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
            return self.pytester.runpytest_inprocess(
                *plugins, *plain, plugins=[self._workers] if workers else []
            )

    def record(self) -> dict[str, Any]:
        """Return what `--quant-json=run.json` wrote, which must follow the published schema."""
        found = json.loads((self.pytester.path / "run.json").read_text(encoding="utf-8"))
        _validator().validate(found)
        return found

    def run_subprocess(self, *args: str) -> pytest.RunResult:
        """Run pytest in a process of its own."""
        return self.pytester.runpytest_subprocess("-p", "no:randomly", *args)


@pytest.fixture(scope="session")
def warm_workers() -> Iterator[WarmWorkers]:
    """Return what forks workers, and end it after the last test."""
    workers = WarmWorkers()
    yield workers
    workers.close()


@pytest.fixture
def project(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, warm_workers: WarmWorkers
) -> Project:
    """Return an empty project whose fake backend can be imported, also in workers."""
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(FAKES), os.environ.get("PYTHONPATH", "")])
    )
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.delitem(sys.modules, "quantcheck_fake", raising=False)
    return Project(pytester, monkeypatch, warm_workers)


@pytest.fixture
def timed(project: Project) -> Project:
    """Return a project with variants that take known times."""
    project.settings(tables=TABLES)
    return project


@pytest.fixture(params=[(), ("-n2",)], ids=["plain", "xdist"])
def how(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Arguments for a run in one process, and for one with two workers."""
    return request.param

"""The reference names all that the code offers."""

from __future__ import annotations

import argparse
import csv
import doctest
import inspect
import re
import runpy
from dataclasses import fields

import pytest
from shown import ROOT

import pytest_quantcheck
from pytest_quantcheck import errors, hookspecs, planning
from pytest_quantcheck.cli.main import COMMANDS
from pytest_quantcheck.cli.runs import read_run
from pytest_quantcheck.core import grammar
from pytest_quantcheck.core.grammar import keywords_of, parse_limit
from pytest_quantcheck.core.metric import METRICS
from pytest_quantcheck.core.protocols import BackendSpec
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.measure.backends import BUILTIN_BACKENDS, quantized_store
from pytest_quantcheck.measure.handle import Handle
from pytest_quantcheck.measure.protocols import LoadedClassifier
from pytest_quantcheck.plugin.fixtures import Comparison
from pytest_quantcheck.report.formats import FORMATS
from pytest_quantcheck.workloads.generation import GenerationOptions

PAGES = {
    page.stem: page.read_text(encoding="utf-8")
    for page in (ROOT / "docs" / "reference").glob("*.md")
}


def code(page):
    """Return what stands in code spans and blocks of a page, as words."""
    spans = re.findall(r"```.*?```|`[^`]*`", PAGES[page], re.DOTALL)
    return {word for span in spans for word in re.findall(r"[\w-]+", span)}


def public(names):
    return {name for name in names if not name.startswith("_")}


def keywords_shown():
    """Return the limits that the table of limits has a form of."""
    table = PAGES["markers"].partition("## Limits")[2].partition("\n## ")[0]
    columns = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    forms = {form for column in columns for form in re.findall(r"`(\S+)`", column)}
    forms |= {form.replace("…", "max_<time>") for form in forms}
    named = re.findall(r"`(\w+)`", table.partition("| keyword")[0])
    filled = {form.replace("<metric>", name) for form in forms for name in [*named, "perplexity"]}
    return {form.replace("<time>", time) for form in filled for time in ("ttft", "tpot", "e2e")}


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_every_limit_on_a_metric_is_listed(metric):
    of_reference = [f"{side}_reference_{metric.name}" for side in ("min", "max")]
    known = {*keywords_of(metric), *filter(is_limit, of_reference)}

    assert known <= keywords_shown()
    assert metric.name in code("workloads")


def test_every_limit_on_no_metric_is_listed():
    known = {word for word, form in grammar._grammar().items() if form.metric is None}

    assert len(known) > 2
    assert known <= keywords_shown()


def is_limit(keyword):
    try:
        return bool(parse_limit(keyword, 0.5))
    except UsageError as error:
        return "unknown limit" not in str(error)


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("hooks", public(pytest_quantcheck.__all__)),
        ("hooks", public(planning.__all__)),
        ("hooks", {name for name, _ in inspect.getmembers(errors, inspect.isclass)}),
        ("hooks", {name for name in vars(hookspecs) if name.startswith("pytest_")}),
        ("hooks", {field.name for field in fields(BackendSpec)}),
        ("hooks", set(BUILTIN_BACKENDS)),
        ("hooks", public(dir(LoadedClassifier))),
        ("planning", {field.name for field in fields(planning.Assumptions)}),
        ("planning", {*inspect.signature(planning.needed_examples).parameters, "n"}),
        ("fixtures", public(dir(Handle))),
        ("fixtures", {field.name for field in fields(Comparison)}),
        ("workloads", {*GenerationOptions.__annotations__}),
        ("workloads", {*inspect.signature(pytest_quantcheck.Latency).parameters}),
        ("settings", {quantized_store.FOLDER, quantized_store.FROM_MIB, quantized_store.MOST_GIB}),
        ("command", {*FORMATS}),
    ],
)
def test_every_name_is_listed(page, names):
    assert len(names) > 1
    assert names - code(page) == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_subcommand_is_listed(name):
    parser = argparse.ArgumentParser(add_help=False)
    COMMANDS[name].add_arguments(parser)
    section = PAGES["command"].partition(f"## `{name}`")[2].partition("\n## ")[0]

    options = {option for action in parser._actions for option in action.option_strings}
    assert section
    assert options <= set(re.findall(r"(?<=`)--?[\w-]+", section))


def test_the_report_of_ones_own_is_written(tmp_path, monkeypatch):
    (block,) = re.findall(r"```python\n(.*?)```", PAGES["hooks"], re.DOTALL)
    run = read_run(ROOT / "example_project" / "report" / "run.json").run
    (tmp_path / "conftest.py").write_text(block, encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    runpy.run_path("conftest.py")["pytest_quantcheck_finish"](run=run)

    with (tmp_path / "quality.csv").open(encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file)]
    assert [row["outcome"] for row in rows] == [check.outcome for check in run.checks]


def test_the_planning_shown_gives_what_is_shown():
    parser = doctest.DocTestParser()
    example = parser.get_doctest(PAGES["planning"].replace("```", ""), {}, "planning", None, 0)

    assert tuple(doctest.DocTestRunner().run(example)) == (0, 3)

"""`--quant-html` writes one page, wherever tests ran, and refuses early what it cannot write."""

import sys

import pytest

SUITE = """
some = large("some", n=300)

@pytest.mark.quant_budget("int4", workload=some, max_accuracy_drop=0.02)
@pytest.mark.quant_budget("int8", workload=some, max_accuracy_drop=0.02)
def test_quiz(quant): ...
"""


def test_the_page_is_written_and_named(project, how):
    project.tests(SUITE)

    result = project.run(*how, "--quant-html=out/report.html")

    result.stdout.fnmatch_lines(
        [
            "quantcheck: page written to out/report.html",
            "quantcheck: 2 budgets decided: 1 pass, 1 fail, 0 inconclusive",
        ]
    )
    page = (project.pytester.path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "1 of 2 budgets is shown to be exceeded." in page
    assert page.count('"k":"worse"') == 200
    assert "question 199:" in page
    assert [path.name for path in (project.pytester.path / "out").iterdir()] == ["report.html"]


def test_a_run_without_quantcheck_tests_writes_no_page(project):
    project.pytester.makepyfile(test_other="def test_other(): pass")

    project.run("--quant-html=report.html").assert_outcomes(passed=1)

    assert not (project.pytester.path / "report.html").exists()


def test_a_place_that_cannot_be_written_is_refused_at_once(project):
    result = project.run("--quant-html=.")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines("*--quant-html=.: expected a file that can be written*")


def test_a_missing_package_is_named_with_its_extra(project, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)

    result = project.run("--quant-html=report.html")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        "*--quant-html: the package jinja2 is missing; pip install 'pytest-quantcheck[[]html]'*"
    )

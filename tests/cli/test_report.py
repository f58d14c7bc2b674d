"""`quantcheck report`: what pytest printed and wrote, again."""

from dataclasses import replace

import known_records as known
import pytest

from pytest_quantcheck.core.journal import first_line, item_line
from pytest_quantcheck.report.formats import FORMATS, View, render
from pytest_quantcheck.report.json import read_json
from pytest_quantcheck.report.terminal import render_summary, title_lines


@pytest.fixture
def path(saved):
    red = replace(known.CHECK, outcome="fail", is_waived=True, waive_until="2027-03-31")
    saved.run = known.run(known.CHECK, red)
    return saved.write()


def journal(folder):
    """Write what a killed run leaves."""
    line = item_line(known.reported("test_a", checks=[known.CHECK]))
    place = folder / "run.jsonl"
    place.write_text(first_line("2026-11-21T10:00:00+00:00") + line + line[:99], encoding="utf-8")
    return place


@pytest.mark.parametrize("width", [80, 140])
def test_the_tables_are_those_of_pytest(path, quantcheck, width):
    printed = quantcheck("report", path, f"--width={width}").splitlines()

    run = read_json(path.read_text(encoding="utf-8"), place="run.json")
    title, *rest = title_lines(run.environments[0], width=width)
    assert printed[0].strip("= ") == title
    assert printed[1:-1] == [*rest, *(line.text for line in render_summary(run, width=width))]
    assert printed[-1] == (
        "quantcheck: 2 budgets decided: 0 pass, 1 fail, 1 inconclusive; 1 waived"
    )


def test_the_width_is_that_of_the_terminal(path, quantcheck, monkeypatch):
    monkeypatch.setenv("COLUMNS", "133")

    assert quantcheck("report", path) == quantcheck("report", path, "--width=133")


def test_a_killed_run_is_shown_with_a_warning(tmp_path, quantcheck):
    printed = quantcheck("report", journal(tmp_path))

    assert " warning: the run did not end: 1 test was decided before\n" in printed
    assert printed.endswith("quantcheck: 1 budget decided: 0 pass, 0 fail, 1 inconclusive\n")
    as_json = quantcheck("report", tmp_path / "run.jsonl", "--format=json")
    assert read_json(as_json, place="x").checks == [known.CHECK]


def test_a_run_that_was_killed_before_its_first_test_says_so(tmp_path, quantcheck):
    place = tmp_path / "run.jsonl"
    place.write_text(first_line("2026-11-21T10:00:00+00:00"), encoding="utf-8")

    printed = quantcheck("report", place)

    assert "the run did not end: 0 tests were decided" in printed
    assert printed.endswith("quantcheck: no budget was decided\n")


def test_json_is_what_pytest_wrote(path, quantcheck):
    assert quantcheck("report", path, "--format=json") == path.read_text(encoding="utf-8")


def test_html_is_short_for_its_format(path, quantcheck):
    page = quantcheck("report", path, "--html")

    assert page.startswith("<!doctype html>")
    assert page == quantcheck("report", path, "--format=html")


def test_annotations_lead_from_the_checkout_to_the_current_folder(path, quantcheck, monkeypatch):
    monkeypatch.chdir(path.parent)
    monkeypatch.setenv("GITHUB_WORKSPACE", str(path.parent.parent))

    printed = quantcheck("report", path, "--format=github")

    assert printed.startswith(f"::notice file={path.parent.name}/test_a.py,line=12,title=")


def test_output_goes_to_a_file(path, quantcheck, refused, tmp_path):
    assert quantcheck("report", path, "-o", tmp_path / "out.txt") == ""

    assert (tmp_path / "out.txt").read_text(encoding="utf-8") == quantcheck("report", path)
    assert "expected a file that can be written" in refused("report", path, "-o", tmp_path)


def test_colour_is_for_terminals_and_those_who_ask(path, quantcheck, monkeypatch):
    assert "\x1b[" not in quantcheck("report", path)
    assert "\x1b[31m triage" in quantcheck("report", path, "--color=yes")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert "\x1b[31m" in quantcheck("report", path)
    assert "\x1b[" not in quantcheck("report", path, "--color=no")
    monkeypatch.setenv("NO_COLOR", "")
    assert "\x1b[" not in quantcheck("report", path)


def test_what_cannot_be_shown_is_refused(path, refused):
    assert "--width=0: expected a whole number" in refused("report", path, "--width=0")
    assert "invalid choice: 'pdf'" in refused("report", path, "--format=pdf")
    assert "No such file" in refused("report", path.with_name("gone.json"))


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_renders_a_run(name):
    assert render(name, known.run(known.CHECK), View())


@pytest.mark.parametrize("name", FORMATS)
def test_less_can_be_told_than_the_run_holds(saved, quantcheck, name):
    check = replace(known.CHECK, worst=[replace(known.FLIP, prompt="PRIVATE", example="SECRET")])
    saved.run = known.run(check)
    path = saved.answers(outputs=["PRIVATE"] * 400).write()

    assert "PRIVATE" not in quantcheck("report", path, f"--format={name}", "--redact=text")
    assert "SECRET" not in quantcheck("report", path, f"--format={name}", "--redact=ids")

"""Annotations: what GitHub, GitLab and plain text say at the lines of tests."""

import json
from dataclasses import replace

import known_records as known
import pytest
from hostile_runs import hostile_run

from pytest_quantcheck.report.findings import (
    Kind,
    findings,
    folder_in_repository,
    path_in_repository,
)
from pytest_quantcheck.report.formats import View, render
from pytest_quantcheck.report.github import workflow_commands

FAIL = replace(known.CHECK, outcome="fail", reason="shown_over", power=0.999)
OPEN = replace(known.CHECK, gate="strict")


def test_a_fail_is_an_error_at_the_line_of_its_test():
    (line,) = workflow_commands(known.run(FAIL), folder="")

    assert line == (
        "::error file=test_a.py,line=12,title=quantcheck FAIL test_triage[int4]::"
        "FAIL: int4 (nf4) on triage: accuracy drop 2.3 pp [1.5, 3.2] (90 %25 CI), "
        "budget <= 3.0 pp%0A"
        "shown to be over the limit%0A"
        "reference fp16 91.2 %25, variant 88.9 %25, n = 1,200 examples%0A"
        "would settle it: ~2,900 more examples"
    )


@pytest.mark.parametrize(
    ("check", "kind"),
    [
        (known.CHECK, None),
        (replace(known.CHECK, outcome="pass"), None),
        (replace(known.CHECK, outcome="pass", power=0.2), None),
        (OPEN, Kind.WARNING),
        (replace(FAIL, is_waived=True, waive_until="2027-03-31"), Kind.NOTICE),
        (replace(FAIL, is_waived=False, waive_until="2020-03-31"), Kind.ERROR),
        (replace(OPEN, is_waived=True, waive_until="2027-03-31"), Kind.NOTICE),
        (replace(OPEN, outcome="pass", power=0.2), Kind.ERROR),
    ],
)
def test_what_turns_no_test_red_is_not_annotated(check, kind):
    found = [one.kind for one in findings(known.run(check))]

    assert found == ([kind] if kind else [])


def test_a_budget_without_teeth_says_so_under_the_strict_gate():
    weak = replace(OPEN, outcome="pass", reason="shown_within", power=0.2)

    (found,) = findings(known.run(weak))

    assert found.title == "TOOTHLESS test_triage[int4]"
    assert "toothless: max_accuracy_drop=0.03 of int4 (nf4) on triage: even at" in found.text


def test_properties_keep_their_separators_out():
    check = replace(FAIL, nodeid="test_a.py::test_a[x,y:z%]", path="sub dir/a,b:c.py")

    (line,) = workflow_commands(known.run(check), folder="project")

    assert line.startswith(
        "::error file=project/sub dir/a%2Cb%3Ac.py,line=12,"
        "title=quantcheck FAIL test_a[x%2Cy%3Az%25]::FAIL"
    )


@pytest.mark.parametrize(("n", "lines"), [(10, 10), (11, 10), (40, 10)])
def test_ten_of_a_kind_are_shown_and_the_rest_is_counted(n, lines):
    commands = workflow_commands(known.run(*[FAIL] * n, OPEN), folder="")

    assert len(commands) == lines + 1
    assert commands[-1].startswith("::warning ")
    more = f"::error title=quantcheck::and {n - 9} budgets more: GitHub shows 10"
    assert commands[-2].startswith(more) == (n > 10)


def test_text_of_models_and_data_stays_in_its_line():
    run, _ = hostile_run()

    commands = workflow_commands(run, folder="")

    assert len(commands) == 1
    assert commands[0].isprintable()
    assert len(commands[0]) < 9_000


def test_gitlab_gets_a_fingerprint_that_stays():
    run = known.run(FAIL, OPEN, known.CHECK)
    again = known.run(replace(FAIL, value=0.9, line=99))

    fail, strict = json.loads(render("gitlab", run, View(folder="project")))

    assert fail["location"] == {"path": "project/test_a.py", "lines": {"begin": 12}}
    assert (fail["severity"], strict["severity"]) == ("critical", "major")
    assert fail["check_name"] == "quantcheck.max_accuracy_drop"
    assert fail["description"].startswith("FAIL: int4 (nf4) on triage: accuracy drop 2.3 pp")
    assert fail["fingerprint"] == json.loads(render("gitlab", again, View()))[0]["fingerprint"]


def test_gitlab_fingerprints_differ_between_budgets():
    run = known.run(FAIL, replace(FAIL, keyword="max_flip_rate"), replace(FAIL, slice="billing"))

    rows = json.loads(render("gitlab", run, View()))

    assert len({row["fingerprint"] for row in rows}) == 3


def test_plain_text_names_file_and_line_of_what_is_red():
    lines = render("text", known.run(FAIL, known.CHECK), View(width=20)).split("\n")

    assert lines[0].startswith("quantcheck · models/helpdesk · fp16 reference")
    assert "~2,900 more examples" in lines[4]
    assert lines[-2].startswith("test_a.py:12: FAIL: int4 (nf4) on triage: accuracy drop 2.3 pp")
    assert lines[-1] == "quantcheck: 2 budgets decided: 0 pass, 1 fail, 1 inconclusive"


def test_paths_start_at_the_checkout(tmp_path):
    inside = tmp_path / "packages" / "helpdesk"
    inside.mkdir(parents=True)
    environ = {"GITHUB_WORKSPACE": str(tmp_path)}

    assert folder_in_repository(inside, environ) == "packages/helpdesk"
    assert folder_in_repository(tmp_path, {"CI_PROJECT_DIR": str(tmp_path)}) == "."
    assert folder_in_repository(tmp_path.parent, environ) == ""
    assert folder_in_repository(inside, {}) == ""
    (tmp_path / "link").symlink_to(tmp_path)
    linked = {"GITHUB_WORKSPACE": str(tmp_path / "link")}
    assert folder_in_repository(inside, linked) == "packages/helpdesk"
    assert path_in_repository("../tests\\test_a.py", "packages/helpdesk") == (
        "packages/tests/test_a.py"
    )

"""A waived failure is seen, blocks nobody until its day, and is red after it."""

import json
import xml.etree.ElementTree as ET

import pytest

FUTURE, PAST = "2999-12-31", "2001-01-01"
BUDGET = (
    "@pytest.mark.quant_budget('int4', workload=quiz, max_accuracy_drop={drop},\n"
    "    waive_until='{until}', reason='vendor fix is due')\n"
    "def test_quiz(quant): ...\n"
)
WAIVED = BUDGET.format(drop=0.02, until=FUTURE)


def run_record(project):
    return json.loads((project.pytester.path / "run.json").read_text())


def test_a_failure_is_an_expected_one_until_the_day(project, how):
    project.tests(WAIVED)

    result = project.run(*how, "-rx", "--quant-json=run.json")

    assert result.ret == 0
    result.assert_outcomes(xfailed=1)
    result.stdout.fnmatch_lines(
        [
            " quiz *int4*FAIL*waived until 2999-12-31",
            "quantcheck: 1 budget decided: 0 pass, 1 fail, 0 inconclusive; 1 waived",
            "XFAIL test_suite.py::test_quiz[[]int4[]] - vendor fix is due (until 2999-12-31)",
        ]
    )
    (check,) = run_record(project)["checks"]
    assert (check["outcome"], check["is_waived"], check["is_in_family"]) == ("fail", True, False)
    assert (check["waive_until"], check["budget_reason"]) == (FUTURE, "vendor fix is due")
    assert run_record(project)["environment"]["checks_collected"] == 0


def test_after_the_day_it_is_red_and_says_so(project, how):
    project.tests(BUDGET.format(drop=0.02, until=PAST))

    result = project.run(*how, "--quant-json=run.json")

    assert result.ret == 1
    result.assert_outcomes(failed=1)
    line = "  the waiver expired: it held until 2001-01-01: vendor fix is due"
    result.stdout.fnmatch_lines([line])
    assert run_record(project)["environment"]["checks_collected"] == 1


def test_the_last_day_is_waived_and_the_next_is_not():
    import datetime as dt
    from types import SimpleNamespace

    from pytest_quantcheck.plugin.waiver import Waivers

    budget = SimpleNamespace(waive_until=dt.date(2027, 3, 31))
    days = (dt.date(2027, 3, 30), dt.date(2027, 3, 31), dt.date(2027, 4, 1))

    assert [Waivers(day, is_off=False).covers(budget) for day in days] == [True, True, False]
    assert not Waivers(days[0], is_off=True).covers(budget)


def test_runxfail_leaves_it_red(project, how):
    project.tests(WAIVED)

    result = project.run(*how, "--runxfail", "--quant-json=run.json")

    assert result.ret == 1
    result.assert_outcomes(failed=1)
    assert run_record(project)["environment"]["checks_collected"] == 1
    result.stdout.fnmatch_lines(["  reason given: vendor fix is due"])
    result.stdout.no_fnmatch_line("*expired*")


def test_a_waiver_that_is_no_longer_needed_is_said(project, how):
    project.tests(BUDGET.format(drop=0.3, until=FUTURE))

    result = project.run(*how)

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            " warning: waiver no longer needed: max_accuracy_drop of "
            "test_suite.py::test_quiz[[]int4[]] passes; remove waive_until='2999-12-31'"
        ]
    )


def test_it_covers_its_own_budget_only(project):
    project.tests("@pytest.mark.quant_budget('int4', workload=quiz, max_flip_rate=0.02)\n" + WAIVED)

    result = project.run()

    assert result.ret == 1
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*waived until 2999-12-31: vendor fix is due"])


def test_a_waived_failure_beside_a_wrong_use_is_no_regression(project):
    project.tests(
        WAIVED + "@pytest.mark.quant_budget('int8', max_flip_rate=0.1)\n"
        "def test_measures_nothing(quant): ..."
    )

    result = project.run()

    assert result.ret == 4
    result.assert_outcomes(xfailed=1, failed=1)


def test_an_open_verdict_under_the_strict_gate_is_waived_too(project, how):
    project.tests(
        BUDGET.format(drop=0.015, until=FUTURE).replace("int4", "mild")
        + "@pytest.mark.quant_budget('int8', workload=quiz, max_accuracy_drop=0.3)\n"
        "def test_other(quant): ..."
    )

    result = project.run(*how, "--quant-gate=strict")

    assert result.ret == 0
    result.assert_outcomes(xfailed=1, passed=1)


def test_x_lf_and_junit_take_it_for_an_expected_failure(project):
    project.tests(WAIVED + "def test_after(): ...\n")

    result = project.run("-x", "--junitxml=junit.xml")

    result.assert_outcomes(xfailed=1, passed=1)
    suite = ET.parse(project.pytester.path / "junit.xml").getroot().find("testsuite")
    assert (suite.get("failures"), suite.get("errors"), suite.get("skipped")) == ("0", "0", "1")
    assert suite.find("testcase/skipped").get("type") == "pytest.xfail"
    project.run("--lf").stdout.fnmatch_lines(["*no previously failed tests*"])


def test_a_body_that_breaks_is_not_excused(project):
    project.tests(WAIVED.replace("(quant): ...", "(quant): assert False"))

    result = project.run()

    assert result.ret == 1
    result.assert_outcomes(failed=1)


def test_a_reason_alone_is_shown(project):
    project.tests(
        "@pytest.mark.quant_budget('int4', workload=quiz, max_accuracy_drop=0.02,"
        " reason='agreed with support')\ndef test_quiz(quant): ..."
    )

    result = project.run()

    assert result.ret == 1
    result.stdout.fnmatch_lines(["  reason given: agreed with support"])


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ("waive_until='2999-12-31'", "waive_until='2999-12-31' without a reason; say why"),
        ("waive_until='soon', reason='x'", "waive_until='soon': expected a day such as"),
        ("waive_until='2027-02-30', reason='x'", "waive_until='2027-02-30': expected a day"),
        ("waive_until=20270331, reason='x'", "waive_until=20270331: expected a day"),
        ("reason=' '", "reason=' ': expected a string with something in it"),
        ("slice=''", "slice='': expected a string with something in it"),
    ],
)
def test_wrong_terms_are_a_collection_error(project, how, terms, message):
    project.tests(
        f"@pytest.mark.quant_budget('int4', workload=quiz, max_flip_rate=0.1, {terms})\n"
        "def test_quiz(quant): ..."
    )

    result = project.run(*how)

    assert result.ret == 2
    result.stdout.fnmatch_lines([f"*quant_budget at test_suite.py:*{message}*"])

"""What a run shows and exits with, whatever pytest is asked to do around it."""

import json
import xml.etree.ElementTree as ET

import pytest

SUITE = """
@pytest.mark.quant_budget("int8", workload=quiz, max_accuracy_drop=0.02)
@pytest.mark.quant_budget("int4", workload=quiz, max_accuracy_drop=0.02)
def test_quiz(quant):
    assert quant.variant is not quant.reference

@pytest.mark.quant_budget("mild", workload=essay, max_exact_match_drop=0.015)
def test_essay(quant): ...

@pytest.mark.quant_budget("int8", workload=manual, max_perplexity_ratio=1.06)
def test_manual(quant): ...

def test_plain(): ...
"""
SUMMARY = (
    "*quiz*int8*accuracy*100.0 %*100.0 %*0.0 pp*<= 2.0 pp*1,000*PASS",
    "*quiz*int4*accuracy*100.0 %*80.0 %*20.0 pp*<= 2.0 pp*1,000*FAIL",
    "*essay*mild*exact_match*100.0 %*98.8 %*1.2 pp*<= 1.5 pp*1,000*INCONCLUSIVE*more examples",
    "*manual*int8*perplexity*<= 1.06*60*PASS",
)
FINAL = "quantcheck: 4 budgets decided: 2 pass, 1 fail, 1 inconclusive"


@pytest.fixture
def suite(project):
    project.tests(SUITE)
    return project


VARIATIONS = {
    "plain": ((), 1, {"passed": 3, "failed": 1}),
    "verbose": (("-v",), 1, {"passed": 3, "failed": 1}),
    "-rA": (("-rA",), 1, {"passed": 3, "failed": 1}),
    "strict markers": (("--strict-markers", "--strict-config"), 1, {"passed": 3, "failed": 1}),
    "runxfail": (("--runxfail",), 1, {"passed": 3, "failed": 1}),
    "warnings are errors": (("-W", "error"), 1, {"passed": 3, "failed": 1}),
    "no cache": (("-p", "no:cacheprovider"), 1, {"passed": 3, "failed": 1}),
    "run again": (("--reruns=1",), 1, {"passed": 3, "failed": 1}),
    "random order": (("-p", "randomly", "--randomly-seed=7"), 1, {"passed": 3, "failed": 1}),
    "no terminal colour": (("--color=no",), 1, {"passed": 3, "failed": 1}),
}


@pytest.mark.parametrize(("args", "status", "_outcomes"), VARIATIONS.values(), ids=VARIATIONS)
def test_outcome_and_summary_stay_the_same(suite, how, args, status, _outcomes):
    result = suite.run(*how, *args)

    assert result.ret == status
    counts = result.parseoutcomes()
    assert (counts["failed"], counts["passed"], counts["inconclusive"]) == (1, 3, 1)
    for line in (*SUMMARY, FINAL):
        result.stdout.fnmatch_lines([line])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


def test_the_failure_says_what_broke_and_how_to_see_it_again(suite, how):
    result = suite.run(*how)

    result.stdout.fnmatch_lines(
        [
            "FAIL: int4 (lossy-200) on quiz: accuracy drop 20.0 pp *(90 % CI), budget <= 2.0 pp",
            "  shown to be over the limit",
            "  reference fp16*100.0 %, variant 80.0 %, on *",
            "  n = 1,000 examples, 200 lost and 0 gained (800 right and 0 wrong in both), *",
            "  exact *, p = * against 0.01 for FAIL",
            "  worst flips, 5 of 200 lost:",
            "    e0  lost, margin +* -> -* nats",
            "      question 0:",
            '      expected  " right"',
            '      reference " right" | variant   " wrong"',
            "  reproduce: pytest 'test_suite.py::test_quiz[[]int4[]]' --quant-family-size=5",
        ]
    )


def test_the_reproduction_gives_the_same_verdict(suite):
    alone = suite.run("test_suite.py::test_quiz[int4]", "--quant-family-size=5", "--quant-json=a")
    whole = suite.run("--quant-json=b")

    assert alone.ret == whole.ret == 1
    first, second = (
        {c["nodeid"]: c for c in json.loads((suite.pytester.path / name).read_text())["checks"]}
        for name in "ab"
    )
    nodeid = "test_suite.py::test_quiz[int4]"
    assert first[nodeid] == second[nodeid]


def test_inconclusive_is_listed_where_asked(suite, how):
    assert "INCONCLUSIVE test_suite.py::test_essay[mild]" in suite.run(*how, "-rA").stdout.str()
    assert "INCONCLUSIVE test_suite" not in suite.run(*how).stdout.str()


def test_ids_name_the_variant_and_k_selects_it(suite, how):
    result = suite.run(*how, "-v", "-k", "int4")

    assert result.parseoutcomes()["failed"] == 1
    result.stdout.fnmatch_lines(["*quantcheck: 1 budget decided: 0 pass, 1 fail*"])


def test_deselecting_does_not_change_the_family(suite, how):
    result = suite.run(*how, "-k", "int4", "--quant-json=run.json")

    assert result.ret == 1
    run = json.loads((suite.pytester.path / "run.json").read_text())
    assert run["environment"]["family_size"] == 5
    assert run["environment"]["checks_collected"] == 4
    assert run["checks"][0]["alpha_fail"] == pytest.approx(0.01)


def test_x_stops_at_a_regression_and_not_at_inconclusive(suite):
    suite.tests(
        "@pytest.mark.quant_budget('mild', workload=essay, max_exact_match_drop=0.015)\n"
        "def test_essay(quant): ...\n"
        "@pytest.mark.quant_budget('int4', workload=quiz, max_accuracy_drop=0.02)\n"
        "def test_quiz(quant): ...\n"
        "def test_never(): ...",
    )

    counts = suite.run("-x").parseoutcomes()

    assert counts == {"inconclusive": 1, "failed": 1}


def test_lf_runs_the_red_test_with_the_same_verdict(suite):
    assert suite.run().ret == 1

    again = suite.run("--lf", "--quant-json=run.json")

    assert again.parseoutcomes()["failed"] == 1
    run = json.loads((suite.pytester.path / "run.json").read_text())
    assert run["environment"]["family_size"] == 5


def test_collect_only_measures_nothing(suite, how):
    import quantcheck_fake

    result = suite.run(*how, "--collect-only", "-q")

    assert result.ret == 0
    if not how:
        assert quantcheck_fake.LOADS == []
        result.stdout.fnmatch_lines(["test_suite.py::test_quiz[[]int8[]]"])


def test_junit_has_the_verdict_and_counts_one_failure(suite, how):
    suite.run(*how, "--junitxml=junit.xml")

    root = ET.parse(suite.pytester.path / "junit.xml").getroot().find("testsuite")
    verdicts = {
        case.get("name"): prop.get("value")
        for case in root.iter("testcase")
        for prop in case.iter("property")
        if prop.get("name") == "quantcheck.verdict"
    }
    assert (root.get("failures"), root.get("errors"), root.get("skipped")) == ("1", "0", "0")
    assert verdicts == {
        "test_quiz[int8]": "pass",
        "test_quiz[int4]": "fail",
        "test_essay[mild]": "inconclusive",
        "test_manual[int8]": "pass",
    }


def test_the_strict_gate_turns_inconclusive_red(suite, how):
    result = suite.run(*how, "--quant-gate=strict")

    assert result.parseoutcomes()["failed"] == 2
    result.stdout.fnmatch_lines(["INCONCLUSIVE: mild*on essay: exact_match drop 1.2 pp*"])
    result.stdout.fnmatch_lines(["  would settle it: *more examples*"])


def test_a_gate_of_its_own_wins_over_the_run(project):
    project.tests(
        "@pytest.mark.quant_budget('mild', workload=essay, max_exact_match_drop=0.015,"
        " gate='regression')\ndef test_essay(quant): ..."
    )

    assert project.run("--quant-gate=strict").ret == 0


def test_a_run_that_decides_nothing_says_so_and_is_red_under_the_strict_gate(project, how):
    project.tests(
        "@pytest.mark.skip(reason='later')\n"
        "@pytest.mark.quant_budget(workload=quiz, max_flip_rate=0.1)\ndef test_quiz(quant): ..."
    )

    assert project.run(*how).ret == 0
    strict = project.run(*how, "--quant-gate=strict")
    assert strict.ret == 1
    strict.stdout.fnmatch_lines(["quantcheck: no budget was decided"])


def test_without_the_plugin_the_suite_is_never_green(suite, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    result = suite.pytester.runpytest_subprocess()

    assert result.ret != 0
    result.stdout.fnmatch_lines(["*fixture 'quant' not found*"])
    assert suite.pytester.runpytest_subprocess("-p", "no:quantcheck").ret != 0


def test_twice_in_one_process(suite):
    first, second = suite.run(), suite.run()

    assert first.ret == second.ret == 1
    assert first.parseoutcomes() == second.parseoutcomes()


def test_started_from_a_subfolder(suite, monkeypatch):
    folder = suite.pytester.mkdir("deeper")
    monkeypatch.chdir(folder)

    result = suite.run("..")

    assert result.ret == 1
    result.stdout.fnmatch_lines([FINAL])


def test_a_root_directory_that_cannot_be_written(suite):
    root = suite.pytester.path
    listing = sorted(path.name for path in root.iterdir())

    result = suite.run("-p", "no:cacheprovider")

    assert result.ret == 1
    written = {path.name for path in root.iterdir()} - set(listing) - {"__pycache__"}
    assert written == set()


def test_ctrl_c_keeps_what_was_finished(project):
    project.settings(tables='[tool.quantcheck.variants.stuck]\nbackend="fake"\nprecision="slow"')
    project.tests(
        "@pytest.mark.quant_budget('int4', workload=quiz, max_accuracy_drop=0.02)\n"
        "def test_first(quant): ...\n"
        "class Pressed(MultipleChoice):\n"
        "    def examples(self, **_): raise KeyboardInterrupt\n"
        "pressed = Pressed.from_examples([], name='pressed')\n"
        "@pytest.mark.quant_budget('stuck', workload=pressed, max_accuracy_drop=0.02)\n"
        "def test_second(quant): ...\n"
    )

    result = project.run_subprocess("--quant-json=run.json")

    assert result.ret == 2
    result.stdout.fnmatch_lines(["quantcheck: 1 budget decided: 0 pass, 1 fail, 0 inconclusive"])
    run = json.loads((project.pytester.path / "run.json").read_text())
    assert [check["outcome"] for check in run["checks"]] == ["fail"]


def test_quiet_has_no_header_and_no_progress(suite):
    result = suite.run("-q")

    assert result.ret == 1
    result.stdout.no_fnmatch_line("quantcheck: *reference, variants*")


def test_the_header_names_model_variants_and_family(suite):
    suite.run().stdout.fnmatch_lines(
        ["quantcheck: model, fp16 reference, variants int8, *alpha 0.05 over 4 budgets (family 5)"]
    )


def test_a_run_without_quantcheck_tests_is_silent(project, how):
    project.pytester.makepyfile(test_other="def test_other(): pass")

    result = project.run(*how)

    assert result.ret == 0
    result.stdout.no_fnmatch_line("*quantcheck:*")


def test_the_json_holds_the_run(suite, how):
    suite.run(*how, "--quant-json=out/run.json")

    run = json.loads((suite.pytester.path / "out" / "run.json").read_text(encoding="utf-8"))
    assert run["schema_version"] == 1
    assert run["environment"]["reference_label"].startswith("fp16")
    assert sorted(check["outcome"] for check in run["checks"]) == [
        "fail",
        "inconclusive",
        "pass",
        "pass",
    ]
    measured = {(m["variant"], m["workload"]) for m in run["measurements"]}
    assert {("fp16", "quiz"), ("int4", "quiz"), ("mild", "essay")} <= measured
    assert all(len(m["first_token_ids"]) > 0 for m in run["measurements"])
    assert all(m["is_reference"] == (m["variant"] == "fp16") for m in run["measurements"])

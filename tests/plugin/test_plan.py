"""`--quant-plan`: figures for every budget, and no model."""

import json
import re

import pytest

USAGE = 4
SUITE = """
few = MultipleChoice.from_examples(
    rows(25, context=lambda i: f"question {i + 500}:", choices=[" right", " wrong"], answer=0),
    name="few")

@pytest.mark.quant_budget('int8', workload=quiz, max_accuracy_drop=0.01)
def test_quiz(quant):
    raise AssertionError("a test ran")

@pytest.mark.quant_budget('int8', workload=few, max_accuracy_drop=0.05)
def test_few(quant): ...

@pytest.mark.quant_budget('int8', workload=manual, max_perplexity_ratio=1.02)
@pytest.mark.quant_budget('int8', max_weight_memory_ratio=0.6)
def test_manual(quant): ...

def test_other():
    raise AssertionError("a test ran")
"""


def row(result, workload):
    """Return the cells of one line of the plan."""
    line = next(line for line in result.outlines if line.startswith(f" {workload} "))
    return re.split(r" {2,}", line.strip())


@pytest.mark.parametrize("args", [(), ("-q",), ("--color=no",), ("--no-summary",)])
def test_it_prints_what_each_budget_can_show_and_runs_no_test(project, how, args):
    project.tests(SUITE)

    result = project.run(*how, "--quant-plan", *args)

    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "=* quantcheck plan * PASS at alpha 0.05, FAIL at 0.05/5 = 0.01 *=",
            " workload * n * FAIL from * PASS up to * n for PASS*",
        ]
    )
    assert row(result, "quiz")[3:] == ["1,000", "3.1 pp", "none", "3,450", "assumed"]
    assert row(result, "(weights)")[3:] == ["-", "-", "-", "-", "exact"]
    assert row(result, "manual")[3] == "60"
    result.stdout.no_fnmatch_line("*a test ran*")
    result.stdout.no_fnmatch_line("*clusters*")


def test_it_warns_of_what_cannot_be_shown_and_of_toothless_budgets(project):
    project.tests(SUITE.replace("max_accuracy_drop=0.01", "max_accuracy_drop=0"))

    result = project.run("--quant-plan")

    result.stdout.fnmatch_lines(
        [
            " warning: max_accuracy_drop=0 of int8 on quiz can never be shown: *",
            " warning: max_accuracy_drop=0.05 of int8 on few can hardly be shown with n = 25, "
            "even if nothing is degraded; about 170 would do",
            " warning: max_accuracy_drop=0.05 of int8 on few is toothless: even at 15.0 pp *",
        ]
    )


def test_a_selection_is_planned_at_the_family_of_the_suite(project):
    project.tests(SUITE)

    result = project.run("--quant-plan", "-k", "quiz")

    assert result.ret == 0
    assert row(result, "quiz")[4] == "3.1 pp"
    result.stdout.no_fnmatch_line(" manual *")


def test_the_settings_of_a_run_hold(project):
    project.tests(SUITE)

    result = project.run(
        "--quant-plan", "--quant-limit=400", "--quant-family-size=10", "--quant-alpha=0.1"
    )

    result.stdout.fnmatch_lines(["=* PASS at alpha 0.1, FAIL at 0.1/10 = 0.01 *="])
    assert row(result, "quiz")[3] == "400"


def test_the_last_run_tells_of_flips_and_spread(project, how):
    project.tests(
        "@pytest.mark.quant_budget('int4', workload=quiz, max_accuracy_drop=0.01)\n"
        "def test_quiz(quant): ...\n"
        "@pytest.mark.quant_budget('int8', max_accuracy_drop=0.01)\n"
        "def test_body(quant):\n    quant.measure(quiz)\n"
    )
    before = project.run("--quant-plan")
    assert row(before, "quiz")[-1] == "assumed"
    assert row(before, "(in the test)")[3:] == ["-", "-", "-", "-", "n is known after a run"]

    assert project.run(*how).ret == 1
    after = project.run(*how, "--quant-plan")

    # int4 flips 200 of 1,000, nearly all shown to be net loss; int8 none, at most 0.16 %.
    rows = [re.split(r" {2,}", line.strip()) for line in after.outlines if "last run" in line]
    found = {cells[1]: cells[-2:] for cells in rows}
    assert found == {"int4": ["1,724", "last run"], "int8": ["417", "last run"]}


def test_examples_of_one_cluster_are_counted_as_one_until_a_run_tells(project):
    project.tests(
        "pairs = MultipleChoice.from_examples(rows(1000, context=lambda i: f'question {i}:',\n"
        "    choices=[' right', ' wrong'], answer=0, cluster=lambda i: f'c{i // 2}'),\n"
        "    name='pairs')\n"
        "@pytest.mark.quant_budget('int8', workload=pairs, max_accuracy_drop=0.01)\n"
        "def test_pairs(quant): ...\n"
    )

    result = project.run("--quant-plan", "--quant-sequential=off")

    cells = row(result, "pairs")
    assert cells[3:5] == ["1,000", "500"]
    assert cells[-2] == "6,324"  # twice 3,162
    assert row(project.run("--quant-plan"), "pairs")[-2] == "6,899"  # looked at as they come


def test_a_slice_has_its_own_examples_and_an_unknown_one_is_a_wrong_use(project):
    project.tests(
        "sliced = MultipleChoice.from_examples(rows(100, context=lambda i: f'question {i}:',\n"
        "    choices=[' right', ' wrong'], answer=0,\n"
        "    slice=lambda i: 'old' if i < 30 else 'new'), name='sliced')\n"
        "@pytest.mark.quant_budget('int8', workload=sliced, slice='old', max_accuracy_drop=0.1)\n"
        "def test_old(quant): ...\n"
        "@pytest.mark.quant_budget('int8', workload=sliced, slice='odl', max_accuracy_drop=0.1)\n"
        "def test_odl(quant): ...\n"
    )

    result = project.run("--quant-plan")

    assert result.ret == USAGE
    assert row(result, "sliced[old]")[3] == "30"
    result.stdout.fnmatch_lines(["ERROR *test_odl*slice='odl'*did you mean 'old'*"])


def test_a_bad_line_is_an_error_as_in_a_run(project, how):
    (project.pytester.path / "bad.jsonl").write_text('{"text": "one"}\n{"txt": "two"}\n')
    project.tests(
        "bad = Documents.from_jsonl('bad.jsonl')\n"
        "@pytest.mark.quant_budget('int8', workload=bad, max_perplexity_ratio=1.1)\n"
        "def test_bad(quant): ...\n"
    )

    result = project.run(*how, "--quant-plan")

    assert result.ret == 1
    result.stdout.fnmatch_lines(["ERROR *test_bad*bad.jsonl:2: field 'text': it is missing*"])


def test_a_family_below_the_count_is_a_wrong_use(project):
    project.tests(SUITE)

    result = project.run("--quant-plan", "--quant-family-size=2")

    assert result.ret == USAGE
    result.stderr.fnmatch_lines(["ERROR: the family size is set to 2, but 3 limits *"])


def test_claims_about_these_examples_are_not_planned(project):
    project.tests(SUITE)

    result = project.run("--quant-plan", "--quant-target=dataset")

    assert row(result, "quiz")[3:] == ["1,000", "-", "-", "-", "these examples only"]


def test_a_suite_without_budgets_says_so(project):
    project.tests("def test_other():\n    raise AssertionError")

    result = project.run("--quant-plan")

    assert result.ret == 0
    result.stdout.fnmatch_lines(["no budget is selected"])


def test_it_needs_no_torch(project):
    project.tests(SUITE)
    with (project.pytester.path / "conftest.py").open("a", encoding="utf-8") as conftest:
        conftest.write(
            "\nimport json, sys\n"
            "def pytest_unconfigure(config):\n"
            "    print('MODULES ' + json.dumps([n for n in sys.modules if '.' not in n]))\n"
        )

    result = project.run_subprocess("--quant-plan", "--import-mode=prepend")

    assert result.ret == 0
    line = next(line for line in result.outlines if line.startswith("MODULES "))
    loaded = set(json.loads(line.removeprefix("MODULES ")))
    assert "scipy" in loaded
    assert not {"torch", "transformers", "bitsandbytes"} & loaded


def test_without_a_cache_everything_is_assumed(project):
    project.tests(SUITE.replace("raise AssertionError", "print"))
    args = ("-p", "no:cacheprovider", "-k", "quiz")
    assert project.run(*args).ret == 0

    result = project.run(*args, "--quant-plan")

    assert row(result, "quiz")[-1] == "assumed"


def test_scores_are_planned_on_their_range(project):
    project.tests(
        "scored = Generation.from_examples(\n"
        "    rows(100, prompt=lambda i: f'write {i}', answer='right'), name='scored',\n"
        "    max_new_tokens=8, score=lambda output, example: 5.0, bounds=(0, 10))\n"
        "@pytest.mark.quant_budget('int8', workload=scored, max_score_drop=0.5)\n"
        "def test_scored(quant): ...\n"
    )

    result = project.run("--quant-plan")

    # The spread is a tenth of 10: (1.645 + 0.842)^2 / 0.5^2, and a little for t.
    assert row(result, "scored")[-2] == "27"


def test_wrong_markers_are_errors_of_collection_as_in_a_run(project, how):
    project.tests("@pytest.mark.quant_budget(workload=quiz, max_acuracy_drop=0.1)\n"
                  "def test_quiz(quant): ...\n")  # fmt: skip

    result = project.run(*how, "--quant-plan")

    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*did you mean 'max_accuracy_drop'*"])
    result.stdout.no_fnmatch_line("*quantcheck plan*")


@pytest.mark.parametrize("kept", ['"other"', '{"test_suite.py::test_quiz[int8]": [{"n": 3}]}'])
def test_what_another_version_left_in_the_cache_is_passed_over(project, kept):
    project.tests(SUITE)
    folder = project.pytester.path / ".pytest_cache" / "v" / "quantcheck"
    folder.mkdir(parents=True)
    (folder / "last").write_text(kept, encoding="utf-8")

    result = project.run("--quant-plan")

    assert row(result, "quiz")[-1] == "assumed"


def test_a_run_of_one_test_keeps_what_is_known_of_the_others(project):
    project.tests(SUITE.replace("raise AssertionError", "print"))
    for name in ("quiz", "manual"):
        project.run("-k", name)

    result = project.run("--quant-plan")

    assert [row(result, name)[-1] for name in ("quiz", "few", "manual")] == [
        "last run",
        "assumed",
        "last run",
    ]


def test_it_runs_without_a_terminal_and_without_xdist(project):
    project.tests(SUITE)

    assert project.run("--quant-plan", "-p", "no:terminal").ret == 0
    assert (
        project.run_subprocess("--quant-plan", "--import-mode=prepend", "-p", "no:xdist").ret == 0
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [((), None), (("--quant-sequential=on",), "915"), (("--quant-sequential=off",), None)],
)
def test_examples_expected_are_told_where_measuring_may_stop(project, options, expected):
    project.tests(SUITE)

    result = project.run("--quant-plan", *options)

    assert result.ret == 0
    cells = row(result, "quiz")
    assert cells[7:-1] == ([expected] if expected else [])


def test_it_says_how_long_measuring_takes_once_a_run_is_known(project):
    project.tests(SUITE.replace('raise AssertionError("a test ran")', "..."))
    first = project.run("--quant-plan")
    first.stdout.fnmatch_lines(["*how long measuring takes is known after a run"])

    project.run("-k", "quiz")
    last = project.run("--quant-plan")

    last.stdout.fnmatch_lines(
        ["*takes 0.* minutes on * without loading, at the pace it had; 4 of 6 measurements *"]
    )

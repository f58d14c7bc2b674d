"""One error rate for a whole run: Holm's list at its end, and verdicts that nothing moves."""

import json

import pytest

# A family of two: 12 flips in 1,000 give p = .035 against .0066, under .05 and over .025.
SUITE = """
@pytest.mark.quant_budget("int4", workload=quiz, max_accuracy_drop=0.02)
def test_quiz(quant): ...

@pytest.mark.quant_budget("mild", workload=essay, max_flip_rate=0.0066)
def test_essay(quant): ...
"""
LISTED = (
    " also failing (Holm): test_suite.py::test_essay[[]mild[]]: max_flip_rate of "
    "mild (lossy-12) on essay, p 0.0*, 0.0* over the family"
)
WAIVED = SUITE.replace("drop=0.02", "drop=0.02, reason='known', waive_until='2999-01-01'")
MORE = """
@pytest.mark.quant_budget("int8", workload=quiz, max_accuracy_drop=0.02)
def test_{}(quant): ...
"""


@pytest.fixture
def suite(project):
    project.tests(SUITE)
    return project


def record(project, name="run.json"):
    return json.loads((project.pytester.path / name).read_text(encoding="utf-8"))


def test_what_holm_adds_is_listed_after_the_table(suite, how):
    result = suite.run(*how, "--quant-json=run.json")

    counts = result.parseoutcomes()
    assert (result.ret, counts["failed"], counts["inconclusive"]) == (1, 1, 1)
    result.stdout.fnmatch_lines(["*essay*flips*INCONCLUSIVE*"])
    result.stdout.fnmatch_lines(
        ["*FAIL*", LISTED, "quantcheck: 2 budgets decided: 0 pass, 1 fail*"]
    )
    (added,) = record(suite)["also_failing"]
    assert (added["nodeid"], added["keyword"]) == (
        "test_suite.py::test_essay[mild]",
        "max_flip_rate",
    )
    assert 0.025 < added["p_fail"] == added["p_adjusted"] < 0.05


LEFT_OUT = {
    "deselected": (("-k", "essay"), 0),
    "another node": (("test_suite.py::test_essay",), 0),
    "stopped before": (("-x",), 1),
    "maxfail": (("--maxfail=1",), 1),
}


@pytest.mark.parametrize(("args", "status"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_budgets_that_did_not_run_count_as_kept(suite, args, status):
    result = suite.run(*args, "--quant-family-size=2", "--quant-json=run.json")

    assert result.ret == status
    result.stdout.no_fnmatch_line("*also failing*")
    assert record(suite)["also_failing"] == []


def test_a_crash_of_what_fails_leaves_the_list_empty(project):
    project.tests(SUITE.replace("test_quiz(quant): ...", "test_quiz(quant): raise OSError"))

    result = project.run("--quant-json=run.json")

    assert result.ret == 1
    assert record(project)["also_failing"] == []


def test_a_waived_failure_spends_nothing_and_adds_nothing(project):
    project.tests(WAIVED)

    result = project.run("--quant-family-size=2", "--quant-json=run.json")

    assert result.ret == 0
    assert record(project)["also_failing"] == []


def test_lf_repeats_the_verdict_in_the_same_family(suite):
    first = suite.run("--quant-json=first.json")
    again = suite.run("--lf", "--quant-json=again.json")

    assert first.ret == again.ret == 1
    failing = {c["nodeid"]: c for c in record(suite, "first.json")["checks"]}
    assert record(suite, "again.json")["checks"] == [failing["test_suite.py::test_quiz[int4]"]]
    assert record(suite, "again.json")["environment"]["family_size"] == 2


@pytest.mark.parametrize("args", [("-k", "first"), ("--deselect", "test_suite.py::test_second")])
def test_every_worker_counts_what_is_left_out_too(project, how, args):
    project.tests("".join(MORE.format(name) for name in ("first", "second", "third")))

    project.run(*how, *args, "--quant-json=run.json")

    run = record(project)
    assert {check["alpha_fail"] for check in run["checks"]} == {0.05 / 5}
    assert run["environment"]["checks_collected"] == 3


def test_parts_of_a_suite_decide_as_the_whole_does_where_the_size_is_pinned(project):
    project.tests(SUITE, "test_one")
    project.tests("".join(MORE.format(name) for name in ("first", "second")), "test_two")
    size = "--quant-family-size=5"

    project.run(size, "--quant-json=whole.json")
    project.run(size, "test_one.py", "--quant-json=one.json")
    project.run(size, "test_two.py", "--quant-json=two.json")

    parts = [*record(project, "one.json")["checks"], *record(project, "two.json")["checks"]]
    whole = record(project, "whole.json")["checks"]
    assert len(parts) == 4
    assert sorted(parts, key=lambda c: c["nodeid"]) == sorted(whole, key=lambda c: c["nodeid"])


def test_a_part_alone_has_a_smaller_family_where_it_is_not_pinned(project):
    project.tests(SUITE, "test_one")
    project.tests("".join(MORE.format(name) for name in ("first", "second")), "test_two")

    project.run("test_one.py", "--quant-json=one.json")

    assert record(project, "one.json")["environment"]["family_size"] == 2


def test_a_rerun_returns_the_first_verdict(suite, how):
    decided = """
def pytest_quantcheck_record(record):
    with open("decided.txt", "a") as file:
        print(record.nodeid, file=file)
"""
    conftest = suite.pytester.path / "conftest.py"
    conftest.write_text(conftest.read_text() + decided)

    result = suite.run(*how, "--reruns=2", "--quant-json=run.json")

    assert result.ret == 1
    counts = result.parseoutcomes()
    assert (counts["failed"], counts["rerun"], counts["inconclusive"]) == (1, 2, 1)
    run = record(suite)
    assert [check["nodeid"] for check in run["checks"]].count("test_suite.py::test_quiz[int4]") == 1
    assert len(run["also_failing"]) == 1
    assert sorted((suite.pytester.path / "decided.txt").read_text().split()) == [
        "test_suite.py::test_essay[mild]",
        "test_suite.py::test_quiz[int4]",
    ]


def test_a_rerun_cannot_turn_a_failure_green(project):
    """A body that measures something else the second time changes nothing."""
    project.tests(
        "runs = []\n"
        "@pytest.mark.quant_budget('int4', max_accuracy_drop=0.02)\n"
        "def test_quiz(quant):\n"
        "    runs.append(1)\n"
        "    easy = MultipleChoice.from_examples(rows(500, answer=0,\n"
        "        choices=[' right', ' wrong'],\n"
        "        context=lambda i: f'question {i + 300}:'), name='easy')\n"
        "    quant.measure(quiz if len(runs) == 1 else easy)\n"
    )

    result = project.run("--reruns=1")

    assert result.ret == 1
    assert result.parseoutcomes() == {"failed": 1, "rerun": 1}


def test_a_family_smaller_than_the_suite_is_a_wrong_use_and_no_regression(suite, how):
    result = suite.run(*how, "--quant-family-size=1")

    assert result.ret == 4
    assert result.parseoutcomes()["errors"] == 2
    result.stdout.fnmatch_lines(["*the family size is set to 1, but 2 limits are declared; set *"])

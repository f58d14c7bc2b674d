"""A run is on disk while it is under way: killed, it can be read; ended, nothing is left over."""

import gzip

import known_records as known
import pytest

from pytest_quantcheck.cli.runs import read_run
from pytest_quantcheck.core.examples import pack
from pytest_quantcheck.plugin.journal import Journalist

SUITE = """
@pytest.mark.quant_budget("int8", workload=quiz, max_accuracy_drop=0.02)
@pytest.mark.quant_budget("int4", workload=quiz, max_accuracy_drop=0.02)
def test_quiz(quant): ...
"""
DIES = """
@pytest.mark.quant_budget("int4", max_weight_memory_ratio=0.7)
def test_z(quant):
    import os
    os._exit(3)
"""


def test_a_killed_run_leaves_what_it_decided(project):
    project.tests(SUITE + DIES)
    folder = project.pytester.path
    (folder / "run.jsonl").write_text("of a run before", encoding="utf-8")

    assert project.run_subprocess("--quant-json=run.json").ret == 3

    assert not (folder / "run.json").exists()
    found = read_run(folder / "run.jsonl")
    checks = {check.variant: check for check in found.run.checks}
    assert {name: check.outcome for name, check in checks.items()} == {
        "int8": "pass",
        "int4": "fail",
    }
    assert found.run.warnings[-1] == "the run did not end: 2 tests were decided before"
    assert sum(found.examples[checks["int4"].examples].rows_of("accuracy").values) == 800


def test_a_run_that_ends_leaves_no_journal_and_the_same_examples(project, how):
    project.tests(SUITE)
    project.pytester.makeconftest(
        (project.pytester.path / "conftest.py").read_text() + "\nfrom pathlib import Path\n"
        "@pytest.hookimpl(tryfirst=True)\n"
        "def pytest_sessionfinish(session):\n"
        "    if not hasattr(session.config, 'workerinput'):\n"
        "        Path('seen').write_bytes(Path('out/run.jsonl').read_bytes())\n"
    )

    project.run(*how, "--quant-json=out/run.json")

    folder = project.pytester.path
    ended, seen = read_run(folder / "out/run.json"), read_run(folder / "seen")
    assert {one.name for one in (folder / "out").iterdir()} == {
        "run.json",
        "run.examples.jsonl.gz",
    }
    assert seen.run.checks == ended.run.checks
    assert seen.examples == ended.examples
    lines = (folder / "seen").read_text().splitlines()
    kept = [line[len('{"examples":') : -1] for line in lines if line.startswith('{"examples":')]
    assert gzip.decompress(pack(kept)) == gzip.decompress(
        (folder / "out/run.examples.jsonl.gz").read_bytes()
    )


@pytest.mark.parametrize("args", [("--collect-only",), ("--quant-plan",), ("-k", "other")])
def test_nothing_is_written_where_no_quantcheck_test_runs(project, args):
    project.tests(SUITE + "\ndef test_other(): ...\n")

    project.run("--quant-json=run.json", *args)

    assert not [*project.pytester.path.glob("run.*")]


def test_a_disk_that_refuses_does_not_stop_the_run(project):
    project.tests(SUITE)
    (project.pytester.path / "run.jsonl").mkdir()

    project.run("--quant-json=run.json").assert_outcomes(passed=1, failed=1)

    assert len(project.record()["checks"]) == 2


def test_a_journal_that_cannot_be_written_is_given_up_and_never_half(tmp_path):
    folder = tmp_path / "out"
    folder.write_text("no folder")
    journal = Journalist(folder / "run.json", started="2026-11-21T10:00:00+00:00")

    journal.add(known.reported("test_0"), ["line"])
    folder.unlink()
    journal.add(known.reported("test_1"), [])

    assert journal.path is None
    assert not folder.exists()
    assert journal.examples == {"line"}

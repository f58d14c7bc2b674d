"""A file that cannot be written at the end costs neither the summary nor the other files."""

import pytest

from pytest_quantcheck.cli.runs import read_run

SUITE = """
from pathlib import Path

@pytest.mark.quant_budget("int8", workload=quiz, max_accuracy_drop=0.02)
def test_quiz(quant):
    {obstacle}
"""


def test_a_page_that_cannot_be_written_is_said_after_all_others(project, how):
    project.tests(SUITE.format(obstacle="Path('out').write_text('')"))

    result = project.run(*how, "--quant-html=out/page.html", "--quant-json=run.json")

    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "quantcheck: out/page.html could not be written: *",
            "quantcheck: 1 budget decided: 1 pass, 0 fail, 0 inconclusive",
        ]
    )
    assert project.record()["checks"][0]["outcome"] == "pass"


def test_a_run_that_cannot_be_written_can_be_read_from_its_journal(project):
    project.tests(SUITE.format(obstacle="Path('run.json').mkdir()"))

    result = project.run("--quant-json=run.json")

    result.stdout.fnmatch_lines("quantcheck: run.json could not be written: *in run.jsonl")
    found = read_run(project.pytester.path / "run.jsonl")
    assert [check.outcome for check in found.run.checks] == ["pass"]

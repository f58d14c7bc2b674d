"""`--quant-github`: silent unless asked for, the same wherever tests ran."""

import pytest

SUITE = """
@pytest.mark.quant_budget("int4", workload=quiz, max_accuracy_drop=0.02)
@pytest.mark.quant_budget("int8", workload=quiz, max_accuracy_drop=0.02)
def test_quiz(quant): ...

@pytest.mark.quant_budget("int4", workload=quiz, max_flip_rate=0.02,
                          reason="next release", waive_until="2999-01-01")
def test_flips(quant): ...
"""


@pytest.fixture
def step(project, monkeypatch):
    """Return the file of the step's summary."""
    project.tests(SUITE)
    path = project.pytester.path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    monkeypatch.setenv("GITHUB_WORKSPACE", str(project.pytester.path.parent))
    monkeypatch.delenv("CI_PROJECT_DIR", raising=False)
    return path


def test_the_summary_is_appended_and_red_tests_are_annotated(project, step, how):
    step.write_text("before\n", encoding="utf-8")

    result = project.run(*how, "--quant-github")

    folder = project.pytester.path.name
    line = 1 + (project.pytester.path / "test_suite.py").read_text().splitlines().index(
        '@pytest.mark.quant_budget("int4", workload=quiz, max_accuracy_drop=0.02)'
    )
    commands = [text for text in result.outlines if text.startswith("::")]
    assert len(commands) == 2
    assert commands[0].startswith(
        f"::error file={folder}/test_suite.py,line={line},"
        "title=quantcheck FAIL test_quiz[int4]::FAIL: int4 (lossy-200) on quiz: accuracy drop "
    )
    assert commands[1].startswith(f"::notice file={folder}/test_suite.py,line=")
    assert "waived until 2999-01-01: next release" in commands[1]
    text = step.read_text(encoding="utf-8")
    assert text.startswith("before\n## quantcheck: 3 budgets decided: 1 pass, 2 fail")
    assert text.count("| **FAIL** |") == 2
    assert "question 1" not in text
    assert "worst flips" not in text
    assert "- cheapest variant with every budget shown: int8 (1 budget; int4 has 2)" in text


def test_texts_of_examples_leave_only_where_asked_for(project, step):
    project.run("--quant-github", "--quant-redact=off", "-k", "quiz and int4")

    assert "question 1" in step.read_text(encoding="utf-8")


def test_it_is_silent_unless_asked_for(project, step):
    result = project.run("-k", "quiz and int4")

    assert not step.exists()
    assert not [text for text in result.outlines if text.startswith("::")]


def test_outside_a_workflow_there_are_annotations_alone(project, step, monkeypatch):
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    monkeypatch.delenv("GITHUB_WORKSPACE")

    result = project.run("--quant-github", "-k", "quiz and int4")

    result.stdout.fnmatch_lines(
        [
            "::error file=test_suite.py,line=*",
            "quantcheck: no step summary, as GITHUB_STEP_SUMMARY is not set",
        ]
    )
    assert not step.exists()


def test_a_summary_that_cannot_be_written_is_refused_at_once(project, step, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(step / "gone" / "summary.md"))

    result = project.run("--quant-github")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines("*--quant-github: GITHUB_STEP_SUMMARY=*: expected a file that can*")


def test_a_full_summary_is_not_made_larger(project, step):
    step.write_bytes(b"x" * 2**20)

    project.run("--quant-github", "-k", "flips")

    assert step.stat().st_size == 2**20


def test_a_run_without_quantcheck_tests_says_nothing(project, step):
    (project.pytester.path / "test_suite.py").write_text("def test_other(): pass")

    result = project.run("--quant-github")

    result.assert_outcomes(passed=1)
    assert "::" not in "\n".join(result.outlines[-3:])
    assert not step.exists()

"""From a run to budgets, and from budgets to a run on other examples."""

import re

import pytest

from pytest_quantcheck.cli.main import main

SUITE = """
@pytest.mark.quant_budget("mild", workload=quiz, max_accuracy_drop=0.9)
@pytest.mark.quant_budget("mild", workload=essay, max_exact_match_drop=0.9)
@pytest.mark.quant_budget("mild", workload=manual, max_perplexity_ratio=5)
def test_all(quant): ...
"""
FRESH = """
def later(n, **fields):
    return [{"id": f"f{i}", **{k: v(i + 3000) if callable(v) else v for k, v in fields.items()}}
            for i in range(n)]

quiz = MultipleChoice.from_examples(
    later(1000, context=lambda i: f"question {i}:", choices=[" right", " wrong"], answer=0),
    name="quiz")
essay = Generation.from_examples(
    later(1000, prompt=lambda i: f"write {i}", answer="right"), name="essay", max_new_tokens=8)
manual = Documents.from_examples(
    later(60, text=lambda i: f"page {i} " + "of the manual " * (5 + i % 4)), name="manual")
"""


def test_suggested_markers_hold_on_other_examples(project, how, capsys, monkeypatch):
    project.tests(SUITE)
    project.run(*how, "--quant-json=run.json", "--quant-variants=mild")
    capsys.readouterr()
    monkeypatch.chdir(project.pytester.path)

    assert main(["suggest-budgets", "run.json"]) == 0

    printed = capsys.readouterr().out
    markers = [line for line in printed.splitlines() if line.startswith("@pytest")]
    assert [re.search(r"workload=(\w+)", marker)[1] for marker in markers] == [
        "essay",
        "manual",
        "quiz",
    ]
    assert " essay " in printed
    assert "max_degenerate_rise" in printed
    project.tests(FRESH + "\n".join(markers) + "\ndef test_suggested(quant): ...\n", "test_fresh")
    result = project.run("test_fresh.py", "--quant-variants=mild")
    assert "1 budget" not in str(result.stdout)
    result.stdout.fnmatch_lines(["quantcheck: 5 budgets decided: * 0 fail, *"])


def test_a_run_that_stopped_in_the_middle_has_what_was_measured(project, capsys, monkeypatch):
    project.tests(SUITE + "def test_more(): raise KeyboardInterrupt\n")
    project.run_subprocess("--quant-json=run.json", "--quant-variants=mild")
    monkeypatch.chdir(project.pytester.path)

    assert main(["suggest-budgets", "run.json", "--workload=manual"]) == 0

    assert "max_perplexity_ratio" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["run.json", "run"])
def test_without_the_file_beside_it_the_run_is_refused(name, project, capsys, monkeypatch):
    project.tests(SUITE)
    project.run(f"--quant-json={name}", "--quant-variants=mild")
    capsys.readouterr()
    monkeypatch.chdir(project.pytester.path)
    (project.pytester.path / "run.examples.jsonl.gz").unlink()

    assert main(["suggest-budgets", name]) == 2

    assert "error: run.examples.jsonl.gz: No such file" in capsys.readouterr().err

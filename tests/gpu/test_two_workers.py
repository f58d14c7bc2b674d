"""A suite spread over two GPUs by pytest-xdist says what it says in one process."""

from __future__ import annotations

import json

import pytest
import torch
from other_process import plugin_options

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs"),
]

SUITE = """
import os
import pytest
from pytest_quantcheck import Documents, Generation, Latency, MultipleChoice

quiz = MultipleChoice.from_examples(
    [{"id": str(i), "context": f"Question {i}:", "choices": [" the", " and", " thing"], "answer": 0}
     for i in range(60)], name="quiz")
essay = Generation.from_examples(
    [{"id": str(i), "prompt": f"the {i}", "answer": "x"} for i in range(20)],
    max_new_tokens=4, name="essay")
manual = Documents.from_examples(
    [{"id": str(i), "text": f"the thing and {i} " * 3} for i in range(20)], name="manual")
brief = Latency(prompt_tokens=16, new_tokens=4, repeats=12)

@pytest.mark.quant_budget("int8", "nf4", workload=quiz, max_accuracy_drop=0.3)
def test_quiz(quant): ...

@pytest.mark.quant_budget("int8", "nf4", workload=essay, max_exact_match_drop=0.2)
def test_essay(quant): ...

@pytest.mark.quant_budget("int8", "nf4", workload=manual, max_perplexity_ratio=3)
def test_manual(quant): ...

@pytest.mark.quant_budget("nf4", max_ttft_ratio=10)
def test_serving(quant):
    quant.measure(brief)

@pytest.mark.parametrize("number", range(2))
def test_other(number):
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    assert "PYTEST_XDIST_WORKER" not in os.environ or visible and "," not in visible
"""
SHOWN = ("outcome", "n", "reference_level", "variant_level", "value", "low", "high")


@pytest.fixture
def run(pytester, checkpoint):
    """Return what runs the suite in processes of its own, and its result and checks."""
    model = checkpoint("llama").model
    pytester.makeini(f"[pytest]\nquant_model = {model}\nquant_no_store = true\n")
    pytester.makepyfile(test_suite=SUITE)

    def start(*args):
        options = [*plugin_options(), "-p", "no:randomly", "--quant-json=run.json", *args]
        result = pytester.runpytest_subprocess(*options)
        path = pytester.path / "run.json"
        found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        path.unlink(missing_ok=True)
        return result, found

    return start


def test_two_workers_give_one_report_with_the_verdicts_of_one_process(run, monkeypatch):
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    alone, first = run("-n0")
    spread, second = run("-n2")

    counts = alone.parseoutcomes()
    assert "errors" not in counts
    assert sum(counts.values()) == 9
    assert spread.parseoutcomes() == counts
    assert [one["device"] for one in second["environments"]] == ["cuda:0"]
    checks = [
        {
            (one["nodeid"], one["keyword"]): [one[name] for name in SHOWN]
            for one in found["checks"]
            if one["workload"] != "latency"
        }
        for found in (first, second)
    ]
    assert len(checks[0]) == 6
    assert checks[0] == checks[1]


def test_more_workers_than_gpus_are_refused_at_our_tests(run):
    n_gpus = torch.cuda.device_count()

    result, _ = run(f"-n{n_gpus + 1}", "-k", "quiz")

    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines([f"*{n_gpus} GPUs: each worker needs one for itself*"])

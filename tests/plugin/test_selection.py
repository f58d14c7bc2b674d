"""Scores do not depend on which tests run: LLM.int8 with outliers, loaded for real on the CPU."""

from __future__ import annotations

import json
from importlib import import_module

import pytest
import tiny_models

# pytest run inside pytest forgets what it imported, and this can be imported once.
import_module("bitsandbytes")

PYPROJECT = """
[tool.pytest.ini_options]
quant_model = "model"
quant_variants = ["int8"]
quant_device = "cpu"
"""
# Each example is a slice with a budget, so that the records hold its scores.
SUITE = """
import pytest
from pytest_quantcheck import Documents

def texts(start, step):
    return [{"text": " ".join(["the thing number"] * (start + step * i)), "slice": str(i)}
            for i in range(5)]

def every_example(**workload):
    def mark(test):
        for i in range(5):
            budget = pytest.mark.quant_budget(slice=str(i), max_perplexity_ratio=9.0, **workload)
            test = budget(test)
        return test
    return mark

@every_example(workload=Documents.from_examples(texts(1, 2), name="short"))
def test_short(quant): ...

@every_example(workload=Documents.from_examples(texts(2, 3), name="long"))
def test_long(quant): ...

@every_example(workload=Documents.from_examples(texts(4, 1), name="other"))
def test_other(quant): ...
"""
SELECTIONS = {
    "one alone": ["test_suite.py::test_long[int8]"],
    "by keyword, backwards": [
        *(f"test_suite.py::test_{name}[int8]" for name in ("other", "long", "short")),
        "-k",
        "long or other",
    ],
}


@pytest.fixture
def run(pytester):
    """Return a function that runs the suite and gives the perplexities of each example."""
    pytester.makepyprojecttoml(PYPROJECT)
    pytester.makepyfile(test_suite=SUITE)
    tiny_models.save(pytester.path / "model", tiny_models.make_model("llama_outliers"))

    def run(*args):
        pytester.runpytest_inprocess("-p", "no:randomly", "--quant-json=run.json", *args)
        record = json.loads((pytester.path / "run.json").read_text(encoding="utf-8"))
        return {
            (check["workload"], check["slice"]): (check["reference_level"], check["variant_level"])
            for check in record["checks"]
        }

    return run


def test_every_selection_gives_each_example_the_same_int8_score(run):
    everything = run()

    assert len(everything) == 15
    assert all(reference != variant for reference, variant in everything.values())
    for selection in SELECTIONS.values():
        found = run(*selection)
        assert found
        assert found == {example: everything[example] for example in found}

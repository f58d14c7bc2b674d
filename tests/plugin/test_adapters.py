"""A model with and without its adapter is two models."""

import json

import pytest

BUDGET = "@pytest.mark.quant_budget('int8', workload=quiz, max_accuracy_drop=0.05)\n"


@pytest.fixture
def suite(project):
    """A project with an adapter."""
    project.pytester.mkdir("tone")
    return project


def models_of(suite):
    run = json.loads((suite.pytester.path / "run.json").read_text(encoding="utf-8"))
    return {check["nodeid"].partition("::")[2]: check["model"] for check in run["checks"]}


def test_one_model_with_and_without_an_adapter_is_two(suite):
    suite.tests(f"""
{BUDGET}
def test_plain(quant): ...

@pytest.mark.quant_model(adapter="tone")
{BUDGET}
def test_adapted(quant): ...
""")

    suite.run("--quant-json=run.json").assert_outcomes(passed=2)

    assert set(models_of(suite).values()) == {"model", "model + tone"}


def test_a_marker_may_drop_the_adapter_of_the_setting(suite):
    suite.settings(ini='quant_adapter = "tone"', tables="[tool.quantcheck.adapter]\nmerge = true")
    suite.tests(f"""
{BUDGET}
def test_adapted(quant): ...

@pytest.mark.quant_model(adapter=None)
{BUDGET}
def test_plain(quant): ...

@pytest.mark.quant_model(merge=False)
{BUDGET}
def test_beside(quant): ...
""")

    suite.run("--quant-json=run.json").assert_outcomes(passed=3)

    assert set(models_of(suite).values()) == {
        "model + tone (merged)",
        "model",
        "model + tone",
    }

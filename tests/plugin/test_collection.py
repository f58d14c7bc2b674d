"""The summary knows every budget of a variant, whatever was left out of the run."""

TESTS = """
@pytest.mark.quant_budget("int8", workload=quiz, max_accuracy_drop=0.05)
@pytest.mark.quant_budget("int8", max_weight_memory_ratio=0.9)
def test_quiz(quant): ...

@pytest.mark.quant_budget(workload=essay, max_exact_match_drop=0.05)
def test_left_out(quant): ...
"""
OTHER = """
@pytest.fixture
def quant_model():
    return "third"

@pytest.mark.quant_budget("int8", workload=quiz, max_accuracy_drop=0.05)
def test_theirs(quant): ...
"""


def test_deselected_budgets_are_not_shown_and_each_model_has_its_own(project, how):
    project.pytester.mkdir("third")
    project.tests(TESTS)
    project.tests(OTHER, name="test_other")

    result = project.run("-k", "not left_out", "--quant-json=run.json", *how)

    assert result.ret == 0
    assert {e["model"]: e["budgets_collected"] for e in project.record()["environments"]} == {
        "model": {"int8": 3, "int4": 1},
        "third": {"int8": 1},
    }
    said = [line for line in result.outlines if "every budget shown" in line]
    assert sorted(said) == [
        " cheapest variant with every budget shown: int8 (1 budget)",
        " no variant has every budget shown: int8 2 of 3, int4 0 of 1",
    ]

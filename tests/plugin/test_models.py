"""Several models in one suite: which test is about which, and what the summary says of each."""

import json

import pytest


@pytest.fixture
def suite(project):
    """A project with a second model that is bad at int8, and a third."""
    for name in ("lossy-300", "third", "tone"):
        project.pytester.mkdir(name)
    return project


def run_of(suite):
    return json.loads((suite.pytester.path / "run.json").read_text(encoding="utf-8"))


def models_of(run):
    return {check["nodeid"].partition("::")[2]: check["model"] for check in run["checks"]}


BUDGET = "@pytest.mark.quant_budget('int8', workload=quiz, max_accuracy_drop=0.05)\n"
TWO_MODELS = f"""
{BUDGET}
def test_own(quant): ...

@pytest.mark.quant_model("lossy-300")
{BUDGET}
def test_other(quant): ...
"""


def test_a_marker_names_the_model_of_a_test(suite, how):
    suite.tests(TWO_MODELS)

    result = suite.run(*how, "--quant-json=run.json")

    result.assert_outcomes(passed=1, failed=1)
    run = run_of(suite)
    assert models_of(run) == {"test_own[int8]": "model", "test_other[int8]": "lossy-300"}
    assert {check["model"]: check["outcome"] for check in run["checks"]} == {
        "model": "pass",
        "lossy-300": "fail",
    }
    assert {e["model"] for e in run["environments"]} == {"model", "lossy-300"}
    assert run["environment"] == run["environments"][0]
    assert {(m["model"], m["variant"]) for m in run["measurements"]} == {
        (model, variant) for model in ("model", "lossy-300") for variant in ("fp16", "int8")
    }
    assert {e["checks_collected"] for e in run["environments"]} == {2}


def test_each_model_has_a_headline_and_tables_of_its_own(suite, how):
    suite.tests(TWO_MODELS)

    result = suite.run(*how)

    text = result.stdout.str()
    heads = [line for line in result.outlines if "quantcheck \N{MIDDLE DOT}" in line]
    assert len(heads) == 2
    for head in heads:
        assert "2 budgets" in head
    good = next(head for head in heads if "model \N{MIDDLE DOT}" in head)
    bad = next(head for head in heads if "lossy-300" in head)
    first, second = sorted((good, bad), key=text.index)
    end = text.index("quantcheck: 2 budgets decided")
    tables = {
        first: text[text.index(first) : text.index(second)],
        second: text[text.index(second) : end],
    }
    assert "PASS" in tables[good]
    assert "FAIL" not in tables[good]
    assert "FAIL" in tables[bad]
    assert "PASS" not in tables[bad]
    result.stdout.fnmatch_lines(["quantcheck: 2 budgets decided: 1 pass, 1 fail, 0 inconclusive"])


def test_the_failure_text_says_how_to_reproduce_it(suite):
    suite.tests(TWO_MODELS)

    result = suite.run("--quant-model=third")

    result.stdout.fnmatch_lines(
        ["  reproduce: pytest 'test_suite.py::test_other[[]int8[]]' --quant-model=third *"]
    )


LEVELS = f"""
pytestmark = pytest.mark.quant_model("third")

{BUDGET}
def test_module(quant): ...

@pytest.mark.quant_model("lossy-300")
class TestThis:
    {BUDGET.strip()}
    def test_class(self, quant): ...

    @pytest.mark.quant_model("model")
    {BUDGET.strip()}
    def test_function(self, quant): ...

class TestBelow(TestThis):
    pass

@pytest.mark.parametrize("which", [1, pytest.param(2, marks=pytest.mark.quant_model("model"))])
{BUDGET}
def test_parameter(quant, which): ...
"""


def test_the_closest_marker_wins(suite):
    suite.tests(LEVELS)

    suite.run("--quant-json=run.json")

    assert models_of(run_of(suite)) == {
        "test_module[int8]": "third",
        "TestThis::test_class[int8]": "lossy-300",
        "TestThis::test_function[int8]": "model",
        "TestBelow::test_class[int8]": "lossy-300",
        "TestBelow::test_function[int8]": "model",
        "test_parameter[int8-1]": "third",
        "test_parameter[int8-2]": "model",
    }


OVERRIDE = f"""
@pytest.fixture(scope="module")
def quant_model():
    return "lossy-300"

{BUDGET}
def test_fixture(quant): ...

@pytest.mark.quant_model("third")
{BUDGET}
def test_marker(quant): ...

def test_handles(int8_model, reference_model):
    assert (int8_model.generate("write 1"), reference_model.generate("write 1")) == (
        "wrong", "right")
"""


def test_an_overriding_fixture_names_the_model_unless_a_marker_does(suite, how):
    suite.tests(OVERRIDE)
    suite.tests(f"{BUDGET}def test_plain(quant): ...", name="test_plain")

    result = suite.run(*how, "--quant-json=run.json")

    result.assert_outcomes(passed=3, failed=1)
    assert models_of(run_of(suite)) == {
        "test_fixture[int8]": "lossy-300",
        "test_marker[int8]": "third",
        "test_plain[int8]": "model",
    }


def test_a_fixture_with_parameters_runs_each_model(suite):
    suite.tests(f"""
@pytest.fixture(params=["lossy-300", "third"])
def quant_model(request, quant_model):
    assert quant_model == "model"
    return request.param

{BUDGET}
def test_quiz(quant): ...
""")

    suite.run("--quant-json=run.json").assert_outcomes(passed=1, failed=1)

    found = models_of(run_of(suite))
    assert {name.partition("[")[2]: model for name, model in found.items()} in (
        {"int8-lossy-300]": "lossy-300", "int8-third]": "third"},
        {"lossy-300-int8]": "lossy-300", "third-int8]": "third"},
    )


def test_a_parameter_of_the_test_names_the_model_without_a_setting(suite):
    pyproject = suite.pytester.path / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    pyproject.write_text(text.replace('quant_model = "model"\n', ""), encoding="utf-8")
    suite.tests(f"""
@pytest.mark.parametrize("quant_model", ["third"])
{BUDGET}
def test_quiz(quant): ...
""")

    suite.run("--quant-json=run.json").assert_outcomes(passed=1)

    assert set(models_of(run_of(suite)).values()) == {"third"}


def test_handles_follow_the_marker(suite):
    suite.tests("""
@pytest.mark.quant_model("lossy-300")
def test_other(int4_model, quant_model):
    assert quant_model == "lossy-300"
    assert int4_model.generate("write 250") == "wrong"
    assert "lossy-300" in repr(int4_model)

def test_own(int4_model, quant_model):
    assert quant_model == "model"
    assert int4_model.generate("write 250") == "right"
""")

    suite.run().assert_outcomes(passed=2)


def test_tests_are_grouped_by_model_and_then_by_variant(suite):
    suite.tests("""
import quantcheck_fake

pair = pytest.mark.quant_budget("int8", "int4", workload=quiz, max_accuracy_drop=0.9)

@pair
def test_a(quant): ...

@pytest.mark.quant_model("third")
@pair
def test_b(quant): ...

def test_elsewhere(): ...

@pair
def test_c(quant): ...

@pytest.mark.quant_model("third")
@pair
def test_d(quant): ...
""")

    result = suite.run("--collect-only", "-q")

    names = [line.partition("::")[2] for line in result.outlines if "::test_" in line]
    assert names == [
        "test_a[int8]",
        "test_c[int8]",
        "test_a[int4]",
        "test_c[int4]",
        "test_elsewhere",
        "test_b[int8]",
        "test_d[int8]",
        "test_b[int4]",
        "test_d[int4]",
    ]


def test_warnings_name_the_model_where_there_are_several(suite):
    suite.settings(
        tables='[tool.quantcheck.variants.bad]\nbackend = "fake"\nprecision = "lossy-999"'
    )
    suite.tests(f"""
{BUDGET}
def test_own(quant): ...

@pytest.mark.quant_model("third")
@pytest.mark.quant_budget("int8", workload=quiz, max_accuracy_drop=0.05)
def test_other(quant): ...
""")

    result = suite.run("--quant-reference=bad")

    result.stdout.fnmatch_lines(
        [
            " warning: model: quiz: the reference is no better than guessing*",
            " warning: third: quiz: the reference is no better than guessing*",
        ]
    )


def test_a_fixture_of_a_wider_scope_cannot_hold_a_handle(suite):
    suite.tests("""
@pytest.fixture(scope="module")
def answers(int8_model):
    return int8_model.generate(["write 1"])

def test_answers(answers): ...
""")

    result = suite.run()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*ScopeMismatch*"])

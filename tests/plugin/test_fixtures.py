"""Handles for plain tests, and budgets that measure nothing."""

import json

import pytest

COLLECTION = 2

HANDLES = """
@pytest.mark.parametrize("name", ["reference_model", "fp16_model", "int8_model", "int4_model"])
def test_answers(request, name):
    handle = request.getfixturevalue(name)
    assert handle.generate("write 1") == ("wrong" if name == "int4_model" else "right")

def test_variant(quant_variant):
    assert quant_variant.generate(["write 900"]) == ["right"]
"""


def test_plain_tests_get_handles_and_no_verdict(project, how):
    project.tests(HANDLES)

    result = project.run(*how, "-v")

    result.assert_outcomes(passed=6)
    result.stdout.fnmatch_lines(["*test_suite.py::test_variant[[]int4[]]*"])
    result.stdout.no_fnmatch_line("*quantcheck:*")


def test_k_selects_plain_tests_by_the_variant_of_their_model(project):
    project.tests(
        "def test_refuses(int4_model): assert int4_model.generate('write 1') == 'wrong'\n"
        "@pytest.fixture\ndef answer(int4_model): return int4_model.generate('write 1')\n"
        "def test_says(answer): assert answer == 'wrong'\n"
        "def test_answers(int8_model): ...\n"
        "def test_each(quant_variant): ...\n"
        "def test_nothing(): ...\n"
    )

    selected = project.run("-k", "int4")
    others = project.run("-k", "not int4", "-v")

    selected.assert_outcomes(passed=3, deselected=3)
    others.assert_outcomes(passed=3, deselected=3)


def test_a_handle_of_no_variant_is_a_collection_error(project, how):
    settings = project.pytester.path / "pyproject.toml"
    text = settings.read_text(encoding="utf-8").replace('quant_variants = ["int8", "int4"]', "")
    settings.write_text(text, encoding="utf-8")
    project.tests("def test_variant(quant_variant): ...")

    result = project.run(*how)

    assert result.ret == COLLECTION
    result.stdout.fnmatch_lines(["*test_variant): no variants; set quant_variants, for example*"])


@pytest.mark.parametrize("name", ["quant", "quant_variant"])
def test_a_fixture_asked_for_while_the_test_runs_is_refused(project, name):
    project.tests(f"def test_late(request): request.getfixturevalue('{name}')")

    result = project.run()

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        "not measured: test_suite.py:* (test_suite.py::test_late): the fixture quant_variant was "
        "asked for while the test ran*make quant or quant_variant an argument of the test"
    )


WEIGHTS = """
@pytest.mark.quant_budget("int8", max_weight_memory_ratio={})
def test_weights(quant): assert len(quant.verdicts) == 1
"""


@pytest.mark.parametrize(("limit", "status"), [(0.5, 0), (0.49, 1)])
def test_weights_are_compared_exactly_and_share_no_alpha(project, how, limit, status):
    project.tests(WEIGHTS.format(limit))

    result = project.run(*how, "--quant-json=run.json")

    assert result.ret == status
    run = json.loads((project.pytester.path / "run.json").read_text())
    (check,) = run["checks"]
    assert (check["value"], check["method"], check["worst"]) == (0.5, "exact comparison", [])
    assert run["environment"]["checks_collected"] == 0
    if status:
        result.stdout.fnmatch_lines(
            [
                "FAIL: int8 (lossy-0): weight memory ratio 0.500, budget <= 0.49",
                "  compared exactly, no sampling error is involved",
                "  reference fp16*2.0 KiB, variant 1000 B, on *",
                "  reproduce: pytest 'test_suite.py::test_weights[[]int8[]]' *",
            ]
        )

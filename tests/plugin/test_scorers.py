"""Budgets on the metrics of several scorers, from markers and from bodies."""

import pytest

SUITE = """
from pytest_quantcheck import contains, json_valid, regex

letters = Generation.from_examples(
    rows(1000, prompt=lambda i: f"write {i}", answer=["igh", "never"]), name="letters",
    score=[contains(), regex("^right$"), json_valid()])

@pytest.mark.quant_budget("int4", workload=letters, max_contains_drop=0.05)
def test_drop(quant): ...

@pytest.mark.quant_budget("int8", workload=letters, max_contains_drop=0.05, min_regex_match=0.9,
                          min_reference_contains=0.9, max_regex_match_flip_rate=0.05)
def test_levels(quant): ...

@pytest.mark.quant_budget("int8", workload=letters, min_reference_json_valid=0.9)
def test_reference(quant): ...

@pytest.mark.quant_budget("int8", max_contains_drop=0.1)
def test_body(quant):
    quant.compare([{"prompt": f"write {i}", "answer": "right"} for i in range(300)], [contains()])
"""


def test_every_scorer_has_limits_of_its_own(project, how):
    project.tests(SUITE)

    result = project.run(*how)

    result.assert_outcomes(passed=2, failed=2)
    result.stdout.re_match_lines_random(
        [
            r"FAIL: int4 \(lossy-200\) on letters: contains .*budget.*",
            r"FAIL: int8 \(lossy-0\) on letters: .*json_valid.*",
        ]
    )


def test_a_limit_on_a_scorer_the_workload_lacks_is_a_collection_error(project, how):
    project.tests(
        "@pytest.mark.quant_budget('int8', workload=essay, max_json_valid_drop=0.1)\n"
        "def test_essay(quant): ..."
    )

    result = project.run(*how)

    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        ["*max_json_valid_drop needs json_valid, but workload essay measures exact_match*"]
    )


def test_a_wrong_schema_is_a_usage_error_and_a_missing_package_a_skip(project, how):
    (project.pytester.path / "jsonschema.py").write_text("raise ImportError", encoding="utf-8")
    project.tests(
        "from pytest_quantcheck import json_valid\n"
        "@pytest.mark.parametrize('schema', [{}, 'absent.json'])\n"
        "@pytest.mark.quant_budget('int8', min_json_valid=0.1)\n"
        "def test_essay(quant, schema): quant.compare(['write 1'], json_valid(schema))"
    )

    result = project.run_subprocess(*how, "-rs")

    result.assert_outcomes(failed=1, skipped=1)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["*pip install 'pytest-quantcheck[[]json-schema[]]'*"])
    result.stdout.fnmatch_lines(["*not measured: json_valid(schema='*absent.json'): cannot be*"])

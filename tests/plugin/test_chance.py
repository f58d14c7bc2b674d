"""A reference that guesses makes every drop budget toothless: the summary says so."""

import pytest

TABLES = """
[tool.quantcheck.variants.guesser]
backend = "fake"
precision = "lossy-500"
"""
WARNING = (
    " warning: quiz: the reference is no better than guessing (50.0 % against 50.0 %), so a drop "
    "has nothing to show; min_reference_accuracy makes this an error"
)


@pytest.fixture
def guessing(project):
    project.settings(tables=TABLES)
    return project


def test_a_reference_at_chance_is_said_once(guessing, how):
    guessing.tests(
        "@pytest.mark.quant_budget(workload=quiz, max_accuracy_drop=0.9)\ndef test_quiz(quant): ..."
    )

    result = guessing.run(*how, "--quant-reference=guesser")

    assert result.ret == 0
    assert result.outlines.count(WARNING) == 1


def test_a_floor_on_the_reference_makes_it_red_instead(guessing):
    guessing.tests(
        "@pytest.mark.quant_budget('int8', workload=quiz, max_accuracy_drop=0.9,"
        " min_reference_accuracy=0.8)\ndef test_quiz(quant): ..."
    )

    result = guessing.run("--quant-reference=guesser")

    assert result.ret == 1
    assert WARNING not in result.outlines
    result.stdout.fnmatch_lines(["FAIL: int8*on quiz: accuracy of the reference 50.0 %*>= 80.0 %"])


def test_a_reference_that_knows_and_documents_are_not_mentioned(project):
    project.tests(
        "@pytest.mark.quant_budget('int8', workload=quiz, max_accuracy_drop=0.9)\n"
        "@pytest.mark.quant_budget('int8', workload=manual, max_perplexity_ratio=2)\n"
        "def test_both(quant): ..."
    )

    project.run().stdout.no_fnmatch_line("*no better than guessing*")


SEVERAL = """
from pytest_quantcheck import exact_match, regex

two = Generation.from_examples(
    rows(100, prompt=lambda i: f"write {i}", answer="right",
         slice=lambda i: "old" if i < 50 else "new"),
    name="two", max_new_tokens=8, score=[exact_match(), regex("never")])
"""


@pytest.mark.parametrize(
    "floor",
    [
        "min_reference_exact_match=0.5",
        "min_reference_regex_match=0",
        "slice='old', min_reference_regex_match=0.5",
    ],
)
def test_a_floor_on_another_metric_of_a_slice_or_of_nothing_silences_nothing(project, floor):
    project.tests(
        SEVERAL + "@pytest.mark.quant_budget('int8', workload=two, max_exact_match_drop=0.5,"
        f" max_regex_match_drop=0.5)\n@pytest.mark.quant_budget('int8', workload=two, {floor})\n"
        "def test_two(quant): ..."
    )

    result = project.run()

    result.stdout.fnmatch_lines(
        [
            " warning: two: the reference is never right (regex_match 0.0 %), so a drop has "
            "nothing to show; min_reference_regex_match makes this an error"
        ]
    )
    result.stdout.no_fnmatch_line("*min_reference_exact_match makes*")

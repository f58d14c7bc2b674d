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

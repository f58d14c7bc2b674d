"""The summary keeps its words at any width of the terminal, with and without colour."""

import re

import pytest

SUITE = """
@pytest.mark.quant_budget("int8", workload=quiz, max_accuracy_drop=0.02)
@pytest.mark.quant_budget("int4", workload=quiz, max_accuracy_drop=0.02)
def test_quiz(quant): ...

@pytest.mark.quant_budget("mild", workload=essay, max_exact_match_drop=0.015)
def test_essay(quant): ...
"""
FINAL = "quantcheck: 3 budgets decided: 1 pass, 1 fail, 1 inconclusive"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def suite(project):
    project.tests(SUITE)
    return project


def summary(result):
    """Return the lines below the headline to the final line, without colour."""
    lines = [_COLOUR.sub("", line) for line in result.outlines]
    start = next(i for i, line in enumerate(lines) if "= quantcheck · " in line) + 1
    return lines[start : next(i for i, line in enumerate(lines) if line.startswith(FINAL)) + 1]


def _shown(place, verdict, columns):
    """Return a row of the table; a wide one says what the variant really is."""
    workload, variant, metric = place.split()
    label = rf"{variant} \(lossy-\d+\)" if columns > 100 else variant
    return rf"{workload} {label} {metric} [^a-z]*pp[^a-z]*pp [^a-z]*{verdict}"


@pytest.mark.parametrize("args", [(), ("-v",), ("-q",), ("-rA",)], ids=" ".join)
@pytest.mark.parametrize("columns", [40, 80, 140])
def test_the_summary_says_the_same_at_any_width(suite, monkeypatch, columns, args):
    monkeypatch.setenv("COLUMNS", str(columns))

    result = suite.run(*args)

    lines = summary(result)
    said = " ".join(" ".join(lines).split())
    for place, verdict in (
        ("quiz int8 accuracy", "PASS"),
        ("quiz int4 accuracy", "FAIL"),
        ("essay mild exact_match", "INCONCLUSIVE"),
    ):
        words = rf"{verdict} {place}" if columns == 40 else _shown(place, verdict, columns)
        assert re.search(words, said), said
    listed = "INCONCLUSIVE test_suite.py::test_essay[mild]"
    assert (listed in lines) == ("-rA" in args)
    assert max(map(len, set(lines) - {FINAL, listed})) <= columns
    assert result.ret == 1


@pytest.mark.parametrize(
    ("environment", "args", "is_coloured"),
    [
        ({}, (), False),
        ({"FORCE_COLOR": "1"}, (), True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, (), False),
        ({"FORCE_COLOR": "1"}, ("--color=no",), False),
        ({"NO_COLOR": "1"}, ("--color=yes",), True),
    ],
)
def test_colour_is_pytests_own_and_changes_no_word(
    suite, monkeypatch, environment, args, is_coloured
):
    for name in ("FORCE_COLOR", "NO_COLOR", "PY_COLORS"):
        monkeypatch.delenv(name, raising=False)
    plain = suite.run()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    result = suite.run(*args)

    assert summary(result) == summary(plain)
    assert ("\x1b[31m quiz" in result.stdout.str()) == is_coloured
    assert ("\x1b[" in result.stdout.str()) == is_coloured

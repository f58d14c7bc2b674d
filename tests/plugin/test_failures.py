"""A failure reads the same wherever pytest shows it, and fits where it is shown."""

import xml.etree.ElementTree as ET

import pytest

SUITE = """
@pytest.mark.quant_budget("int4", workload=quiz, max_accuracy_drop=0.02)
def test_quiz(quant): ...

long = Generation.from_examples(
    [{"id": f"e{i}", "prompt": f"write {i} " + "and so on " * 60, "answer": "right"}
     for i in range(100)], name="long", max_new_tokens=8)

@pytest.mark.quant_budget("int4", workload=long, max_exact_match_drop=0.02)
def test_long(quant): ...
"""
HEADLINE = "FAIL: int4 (lossy-200) on quiz: accuracy drop 20.0 pp *, budget <= 2.0 pp"
GALLERY = [
    "  worst flips, 5 of 200 lost:",
    "    e0  lost, margin +*.?? -> -*.?? nats",
    "      question 0:",
    '      expected  " right"',
    '      reference " right" | variant   " wrong"',
]


@pytest.fixture
def suite(project):
    project.tests(SUITE)
    return project


def test_the_text_stands_among_the_failures(suite, how):
    result = suite.run(*how)

    result.stdout.fnmatch_lines([HEADLINE, *GALLERY])
    result.stdout.fnmatch_lines(["FAILED test_suite.py::test_quiz*int4* - FAIL: int4 (lossy-200)*"])
    result.stdout.no_fnmatch_line("*Failed: FAIL*")


def test_files_for_machines_carry_the_headline_and_the_text(suite, how):
    suite.run("--junitxml=junit.xml", "-k", "test_quiz", *how)

    failure = ET.parse(suite.pytester.path / "junit.xml").getroot().find(".//failure")
    text = failure.text.splitlines()
    assert failure.get("message") == text[0]
    assert text[0].startswith("FAIL: int4 (lossy-200) on quiz")
    assert GALLERY[0] in text
    assert GALLERY[-1] in text


@pytest.mark.parametrize("columns", ["60", "150"])
def test_the_text_fits_the_terminal(suite, how, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)

    result = suite.run(*how, "-k", "test_long")

    lines = result.outlines
    start = lines.index("  worst flips, 5 of 100 lost:")
    end = next(i for i, line in enumerate(lines) if line.startswith("  reproduce:"))
    assert all(len(line) <= int(columns) for line in lines[start:end])
    assert any(len(line) > int(columns) * 0.7 for line in lines[start:end])


def test_colours_mark_the_verdict_and_change_no_text(suite, how):
    plain = suite.run(*how, "--color=no", "-k", "test_quiz")
    coloured = suite.run(*how, "--color=yes", "-k", "test_quiz")

    plain.stdout.no_fnmatch_line("*\x1b*")
    coloured.stdout.fnmatch_lines(["\x1b?1m\x1b?31mFAIL: \x1b?0mint4 (lossy-200) on quiz*"])
    for line in GALLERY:
        coloured.stdout.fnmatch_lines([line])


def test_double_verbosity_shows_whole_texts(suite, how):
    short = suite.run(*how, "-k", "test_long")
    whole = suite.run(*how, "-k", "test_long", "-vv")

    short.stdout.fnmatch_lines(["      write 0 and so on*… -vv shows all 608 characters …*"])
    assert " ".join(" ".join(whole.outlines).split()).count("and so on") == 5 * 60
    whole.stdout.no_fnmatch_line("*-vv shows all*")


def test_a_failure_of_the_tests_own_keeps_its_traceback(project, how):
    project.tests("""
@pytest.mark.quant_budget("int8", workload=quiz, max_accuracy_drop=0.02)
def test_quiz(quant):
    assert quant.variant is quant.reference
""")

    result = project.run(*how)

    result.stdout.fnmatch_lines([">*assert quant.variant is quant.reference", "E*assert*"])

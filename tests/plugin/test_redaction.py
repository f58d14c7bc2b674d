"""`quant_redact`: what of the data may leave holds in everything a run prints and writes."""

import gzip

import pytest

SUITE = """
def named(n, **fields):
    return [{**row, "id": f"SECRET-{i}"} for i, row in enumerate(rows(n, **fields))]

quiz = MultipleChoice.from_examples(
    named(400, context=lambda i: f"PRIVATE {i}:", choices=[" PRIVATE right", " PRIVATE wrong"],
          answer=0, slice="billing", customer="PRIVATE person"), name="quiz")
copies = MultipleChoice.from_examples(
    named(60, context="1 PRIVATE", choices=[" right", " wrong"], answer=0), name="copies")
manual = Documents.from_examples(
    named(30, text=lambda i: f"PRIVATE page {i} of the manual " * 9), name="manual")

@pytest.mark.quant_budget("int4", workload=quiz, max_accuracy_drop=0.02)
@pytest.mark.quant_budget("int4", workload=copies, max_accuracy_drop=0.9)
@pytest.mark.quant_budget("int4", workload=manual, max_mean_kl=0.001)
def test_private(quant): ...
"""
FILES = ("--quant-json=out/run.json", "--quant-html=out/run.html", "--junitxml=out/junit.xml")
OUTPUTS = (*FILES, "-vv", "--color=no")


def everything(project, result):
    """Return all that left: what the terminal showed, and every file in its plain text."""
    written = [path.read_bytes() for path in (project.pytester.path / "out").iterdir()]
    texts = [gzip.decompress(one) if one[:2] == b"\x1f\x8b" else one for one in written]
    assert len(texts) == 4  # run, per-example records, page, JUnit
    return "\n".join([result.stdout.str(), *(text.decode() for text in texts)])


def leaks(text):
    return {word for word in ("PRIVATE", "SECRET", "RIVATE page") if word in text}


@pytest.mark.parametrize(
    ("redact", "left"),
    [("off", {"PRIVATE", "SECRET", "RIVATE page"}), ("text", {"SECRET"}), ("ids", set())],
)
def test_terminal_junit_and_files_hold_what_may_leave(project, redact, left):
    project.tests(SUITE)

    result = project.run(f"--quant-redact={redact}", *OUTPUTS)

    result.assert_outcomes(failed=1)
    text = everything(project, result)
    assert leaks(text) == left
    assert f'"redact": "{redact}"' in text
    assert "KL of 8,010 tokens: mean " in text  # figures stay
    assert "repeat another one under an id of their own" in text
    assert ("(texts redacted)" in text) == (redact == "text")
    assert ("[redacted]" in text) == (redact != "off")


def test_the_ini_setting_holds_in_the_controller(project):
    project.tests(SUITE)
    project.settings(ini='quant_redact = "ids"')

    result = project.run("-n2", *OUTPUTS)

    assert leaks(everything(project, result)) == set()


def test_an_unknown_kind_is_refused(project):
    result = project.run("--quant-redact=all")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines("*--quant-redact='all': expected one of off, text, ids")

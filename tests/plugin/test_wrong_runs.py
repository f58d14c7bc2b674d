"""What goes wrong while a suite runs is an error with its reason, and never a verdict."""

import re

import pytest

USAGE = 4

WRONG_RUNS = {
    "empty workload": (
        "@pytest.mark.quant_budget(workload=MultipleChoice.from_examples([], name='void'),"
        " max_flip_rate=0.1)\ndef test_void(quant): ...",
        "workload void: nothing in examples",
    ),
    "absent file": (
        "@pytest.mark.quant_budget(workload=MultipleChoice.from_jsonl('void.jsonl'),"
        " max_flip_rate=0.1)\ndef test_void(quant): ...",
        "void.jsonl: no such file",
    ),
    "duplicate ids": (
        "twice = Generation.from_examples([{'id': 1, 'prompt': str(i), 'answer': 'b'}"
        " for i in range(2)], name='twice')\n"
        "@pytest.mark.quant_budget(workload=twice, max_flip_rate=0.1)\n"
        "def test_twice(quant): ...",
        "id '1' was already used",
    ),
    "nothing measured": (
        "@pytest.mark.quant_budget(max_flip_rate=0.1)\ndef test_nothing(quant): ...",
        "names no workload, so the test must measure exactly one; it measured none",
    ),
    "two measured": (
        "@pytest.mark.quant_budget(max_flip_rate=0.1)\ndef test_two(quant):\n"
        "    quant.measure(quiz); quant.measure(essay)",
        "must measure exactly one; it measured quiz, essay. Write workload=… in the marker",
    ),
    "made twice": (
        "@pytest.mark.quant_budget(max_flip_rate=0.1)\ndef test_two(quant):\n"
        "    one = [{'prompt': '1', 'answer': 'b'}]\n"
        "    for _ in range(2):\n"
        "        quant.measure(Generation.from_examples(one, name='g'))",
        "it measured g, g. A workload made twice is two: make it once",
    ),
    "measured the wrong thing": (
        "@pytest.mark.quant_budget(max_perplexity_ratio=1.1)\ndef test_wrong(quant):\n"
        "    quant.measure(quiz)",
        "needs perplexity, but workload quiz measures accuracy",
    ),
    "a score that is none": (
        "@pytest.mark.quant_budget(max_score_drop=0.1)\ndef test_score(quant):\n"
        "    quant.compare(['write 1', 'write 2'], score=lambda out, ex: None)",
        "the scorer returned None",
    ),
    "hardly quantized": (
        "@pytest.mark.quant_budget('claim', workload=quiz, max_flip_rate=0.1)\n"
        "def test_claim(quant): ...",
        "model.layers.0.mlp",
    ),
    "identical weights": (
        "@pytest.mark.quant_budget('same', workload=quiz, max_flip_rate=0.1)\n"
        "def test_same(quant): ...",
        "claims quantization, and all of its 1 weights equal the reference's",
    ),
}
TABLES = """
[tool.quantcheck.variants.claim]
backend = "fake"
precision = "untouched"

[tool.quantcheck.variants.same]
backend = "fake"
precision = "same"
"""


def test_what_cannot_be_measured_is_an_error_and_no_verdict(project, how):
    project.settings(tables=TABLES)
    names = {f"test_{name.replace(' ', '_')}": name for name in WRONG_RUNS}
    for module, name in names.items():
        project.tests(WRONG_RUNS[name][0], module)

    result = project.run(*how, "-v")

    assert result.ret in {1, USAGE}
    assert "passed" not in result.parseoutcomes()
    shown = result.stdout.str()
    summary = r"^(?:ERROR|FAILED) (\w+)\.py::.* - not measured: "
    assert set(re.findall(summary, shown, re.MULTILINE)) == names.keys()
    for _, message in WRONG_RUNS.values():
        assert re.search(rf"^not measured: .*{re.escape(message)}", shown, re.MULTILINE)
    result.stdout.fnmatch_lines(["quantcheck: no budget was decided"])
    assert "INTERNALERROR" not in shown + result.stderr.str()


def test_an_error_of_the_users_own_scorer_is_shown_without_our_frames(project):
    project.tests(
        "def score(output, example):\n    return example['anser']\n"
        "@pytest.mark.quant_budget('int8', max_score_drop=0.1)\ndef test_score(quant):\n"
        "    quant.compare([{'prompt': '1'}], score=score)"
    )

    shown = project.run("--tb=short").stdout

    shown.fnmatch_lines(["*in test_score", "*in score", "E   KeyError: 'anser'", "E   while scor*"])
    shown.no_fnmatch_line("*pytest_quantcheck*")
    project.run("--full-trace").stdout.fnmatch_lines(["*pytest_quantcheck*"])


def test_ids_in_an_error_cannot_drive_the_terminal(project):
    project.tests(
        "@pytest.mark.quant_budget('int8', max_score_drop=0.1)\ndef test_score(quant):\n"
        "    quant.compare([{'prompt': '1', 'id': '\\x1b[31mred'}], score=lambda *_: None)"
    )

    result = project.run("--color=no")

    assert "\x1b" not in result.stdout.str()
    result.stdout.fnmatch_lines(["not measured: example \\x1b[[]31mred of score:*returned None*"])


def test_a_wrong_use_is_not_the_exit_code_of_a_regression(project, how):
    source, _ = WRONG_RUNS["nothing measured"]
    project.tests(source)

    assert project.run(*how).ret == USAGE


def test_a_marker_added_after_collection_is_an_error(project, how):
    project.tests("def test_quiz(): ...")
    with (project.pytester.path / "conftest.py").open("a", encoding="utf-8") as conftest:
        conftest.write(
            "\ndef pytest_collection_modifyitems(items):\n"
            "    for item in items:\n"
            "        item.add_marker(pytest.mark.quant_budget(max_flip_rate=0.1))\n"
        )

    result = project.run(*how)

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*the marker was added or removed after collection*"])


def test_a_pinned_family_smaller_than_the_suite_is_an_error(project, how):
    project.tests(
        "@pytest.mark.quant_budget(workload=quiz, max_flip_rate=0.1, max_accuracy_drop=0.1)\n"
        "def test_quiz(quant): ..."
    )

    result = project.run(*how, "--quant-family-size=3")

    assert result.ret == USAGE
    result.stdout.fnmatch_lines(["*family*3*4*"])


@pytest.mark.parametrize("name", ["fake", "transformers"])
def test_two_backends_of_one_name_are_an_error(project, name):
    project.tests(
        "@pytest.mark.quant_budget(workload=quiz, max_flip_rate=0.1)\ndef test_quiz(quant): ..."
    )
    project.pytester.makeconftest(
        "import dataclasses, quantcheck_fake\n"
        "def pytest_quantcheck_backends():\n"
        "    (spec,) = quantcheck_fake.SPECS\n"
        f"    return spec, dataclasses.replace(spec, name={name!r})\n"
    )

    result = project.run()

    assert result.ret == USAGE
    result.stdout.fnmatch_lines([f"*two backends are named {name!r}*"])


def test_a_missing_package_skips_and_names_it(project, how):
    project.settings(tables='[tool.quantcheck.variants.rare]\nbackend = "fake"\nprecision="absent"')
    project.tests(
        "@pytest.mark.quant_budget('rare', workload=quiz, max_flip_rate=0.1)\n"
        "def test_quiz(quant): ..."
    )

    result = project.run(*how, "-rs")

    assert result.ret == 0
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["quantcheck: no budget was decided", "*pip install imaginary*"])


def test_no_gpu_where_one_is_required_fails(project, how):
    project.settings(ini='quant_device = "auto"')
    text = (project.pytester.path / "pyproject.toml").read_text(encoding="utf-8")
    settings = text.replace('quant_device = "cpu"\n', "", 1)
    (project.pytester.path / "pyproject.toml").write_text(settings, encoding="utf-8")
    project.tests(
        "@pytest.mark.quant_budget(workload=quiz, max_flip_rate=0.1)\ndef test_quiz(quant): ..."
    )

    result = project.run(*how, "--quant-require-gpu")

    assert result.ret == USAGE
    result.stdout.fnmatch_lines(["*GPU*"])

"""Every wrong marker and setting is an error that says what to do, and never a regression."""

import pytest

COLLECTION, USAGE = 2, 4

WRONG_MARKERS = {
    "unknown limit": (
        "@pytest.mark.quant_budget('int8', workload=quiz, max_acuracy_drop=0.01)\n"
        "def test_quiz(quant): ...",
        "unknown limit 'max_acuracy_drop'; did you mean 'max_accuracy_drop'",
    ),
    "unknown variant": (
        "@pytest.mark.quant_budget('int3', workload=quiz, max_accuracy_drop=0.01)\n"
        "def test_quiz(quant): ...",
        "unknown variant 'int3'; did you mean 'int",
    ),
    "percent for a fraction": (
        "@pytest.mark.quant_budget(workload=quiz, max_accuracy_drop=1)\ndef test_quiz(quant): ...",
        "1 % is written 0.01",
    ),
    "NaN": (
        "@pytest.mark.quant_budget(workload=quiz, max_accuracy_drop=float('nan'))\n"
        "def test_quiz(quant): ...",
        "max_accuracy_drop=nan: expected a finite number",
    ),
    "negative": (
        "@pytest.mark.quant_budget(workload=quiz, max_flip_rate=-0.1)\ndef test_quiz(quant): ...",
        "a limit is never negative",
    ),
    "a string": (
        "@pytest.mark.quant_budget(workload=quiz, max_flip_rate='0.1')\ndef test_quiz(quant): ...",
        "max_flip_rate='0.1': expected a finite number",
    ),
    "no limit": (
        "@pytest.mark.quant_budget('int8', workload=quiz)\ndef test_quiz(quant): ...",
        "no limit; state one",
    ),
    "not a workload": (
        "@pytest.mark.quant_budget(workload='quiz', max_flip_rate=0.1)\ndef test_quiz(quant): ...",
        "workload='quiz': expected a workload",
    ),
    "a metric nothing measures": (
        "@pytest.mark.quant_budget(workload=quiz, max_perplexity_ratio=1.1)\n"
        "def test_quiz(quant): ...",
        "needs perplexity, but workload quiz measures accuracy, accuracy_norm",
    ),
    "unknown gate": (
        "@pytest.mark.quant_budget(workload=quiz, max_flip_rate=0.1, gate='loose')\n"
        "def test_quiz(quant): ...",
        "gate='loose': expected one of regression, strict",
    ),
    "not built": (
        "@pytest.mark.quant_budget(workload=quiz, max_flip_rate=0.1, target='dataset')\n"
        "def test_quiz(quant): ...",
        "unknown limit 'target'",
    ),
    "the same check twice": (
        "@pytest.mark.quant_budget('int8', workload=quiz, max_flip_rate=0.1)\n"
        "@pytest.mark.quant_budget(workload=quiz, max_flip_rate=0.2)\n"
        "def test_quiz(quant): ...",
        "max_flip_rate stands twice for int8 on the same level",
    ),
    "no quant fixture": (
        "@pytest.mark.quant_budget(workload=quiz, max_flip_rate=0.1)\ndef test_quiz(): ...",
        "the test does not request the fixture quant",
    ),
    "quant_variant alone": (
        "@pytest.mark.quant_budget(workload=quiz, max_flip_rate=0.1)\n"
        "def test_quiz(quant_variant): ...",
        "the test does not request the fixture quant",
    ),
    "quant without a budget": (
        "def test_quiz(quant): ...",
        "requests the fixture quant but has no quant_budget",
    ),
    "unittest method": (
        "import unittest\nclass TestQuiz(unittest.TestCase):\n"
        "    @pytest.mark.quant_budget(workload=quiz, max_flip_rate=0.1)\n"
        "    def test_quiz(self): ...",
        "the test does not request the fixture quant",
    ),
    "unittest class": (
        "import unittest\n@pytest.mark.quant_budget(workload=quiz, max_flip_rate=0.1)\n"
        "class TestQuiz(unittest.TestCase):\n    def test_quiz(self): ...",
        "none of its tests requests the fixture quant",
    ),
    "a class without quant": (
        "@pytest.mark.quant_budget(workload=quiz, max_flip_rate=0.1)\nclass TestQuiz:\n"
        "    def test_quiz(self): ...",
        "none of its tests requests the fixture quant",
    ),
    "a module without quant": (
        "pytestmark = pytest.mark.quant_budget(workload=quiz, max_flip_rate=0.1)\n"
        "def test_quiz(): ...",
        "none of its tests requests the fixture quant",
    ),
}


@pytest.mark.parametrize(("source", "message"), WRONG_MARKERS.values(), ids=WRONG_MARKERS)
def test_a_wrong_marker_is_a_collection_error_of_its_module(project, how, source, message):
    project.tests(source)
    project.pytester.makepyfile(test_other="def test_other(): pass")

    result = project.run(*how)

    assert result.ret == COLLECTION
    result.stdout.fnmatch_lines([f"*{message.replace('[', '[[]')}*"])
    result.stdout.fnmatch_lines(["*test_suite.py*"])
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()


WRONG_SETTINGS = {
    "alpha": (["--quant-alpha=0.7"], "quant_alpha='0.7': expected a number between 0 and 0.5"),
    "alpha text": (["--quant-alpha=five"], "quant_alpha='five': expected a number"),
    "gate": (["--quant-gate=loose"], "gate='loose': expected one of regression, strict"),
    "limit": (["--quant-limit=0"], "quant_limit='0': expected a whole number, at least 1"),
    "family size": (["--quant-family-size=-3"], "quant_family_size='-3': expected a whole"),
    "seed": (["--quant-seed=x"], "quant_seed='x': expected a whole number"),
    "memory": (["--quant-vram-fraction=1.5"], "quant_vram_fraction='1.5': expected above 0"),
    "reference": (["--quant-reference=fp61"], "unknown variant 'fp61'; did you mean 'fp16'"),
    "variants": (["--quant-variants=int8,int44"], "unknown variant 'int44'; did you mean 'int4'"),
    "folder": (["--quant-model=./absent"], "quant_model='./absent': no such folder"),
    "unknown option": (["--quant-store=x"], "unrecognized arguments: --quant-store=x"),
}


@pytest.mark.parametrize(("args", "message"), WRONG_SETTINGS.values(), ids=WRONG_SETTINGS)
def test_a_wrong_setting_is_a_usage_error(project, how, args, message):
    project.tests(
        "@pytest.mark.quant_budget(workload=quiz, max_flip_rate=0.1)\ndef test_quiz(quant): ..."
    )

    result = project.run(*how, *args)

    assert result.ret == USAGE
    result.stderr.fnmatch_lines([f"*{message}*"])


WRONG_FILES = {
    "unknown ini key": ('quant_modle = "x"', "", "unknown setting 'quant_modle'; did you mean"),
    "unknown table key": ("", "[tool.quantcheck]\nstore = 1", "has an unknown key 'store'"),
    "not a table": ("", "[tool.quantcheck.variants]\nmine = 3", "found 3, expected a table"),
    "unknown variant key": (
        "",
        '[tool.quantcheck.variants.mine]\nprecison = "nf4"',
        "unknown key 'precison'; did you mean 'precision'",
    ),
    "unknown precision": (
        "",
        '[tool.quantcheck.variants.mine]\nprecision = "nf5"',
        "precision='nf5': did you mean 'nf4'",
    ),
    "modules": (
        "",
        '[tool.quantcheck.variants.mine]\nprecision = "nf4"\nskip_modules = "lm_head"',
        "skip_modules='lm_head': expected a list",
    ),
}


@pytest.mark.parametrize(("ini", "tables", "message"), WRONG_FILES.values(), ids=WRONG_FILES)
def test_a_wrong_file_is_a_usage_error(project, ini, tables, message):
    (project.pytester.path / "pyproject.toml").write_text(
        f'[tool.pytest.ini_options]\nquant_model = "model"\n{ini}\n{tables}\n', encoding="utf-8"
    )
    project.tests("def test_nothing(): ...")

    result = project.run()

    assert result.ret == USAGE
    result.stderr.fnmatch_lines([f"*{message}*"])


@pytest.mark.parametrize(
    ("missing", "message"),
    [("quant_model", "no model; set quant_model"), ("quant_variants", "no variants")],
)
def test_a_missing_setting_names_the_test(project, how, missing, message):
    settings = project.pytester.path / "pyproject.toml"
    lines = settings.read_text(encoding="utf-8").splitlines()
    settings.write_text("\n".join(line for line in lines if missing not in line), encoding="utf-8")
    project.tests(
        "@pytest.mark.quant_budget(workload=quiz, max_flip_rate=0.1)\ndef test_quiz(quant): ..."
    )

    result = project.run(*how)

    assert result.ret == COLLECTION
    result.stdout.fnmatch_lines([f"*{message}*"])
    result.stdout.fnmatch_lines(["*test_suite.py*test_quiz*"])


WRONG_RUNS = {
    "empty workload": (
        "@pytest.mark.quant_budget(workload=MultipleChoice.from_examples([], name='void'),"
        " max_flip_rate=0.1)\ndef test_void(quant): ...",
        "workload void: no examples",
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
        "must measure exactly one; it measured quiz, essay",
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


@pytest.mark.parametrize(("source", "message"), WRONG_RUNS.values(), ids=WRONG_RUNS)
def test_what_cannot_be_measured_is_an_error_and_no_verdict(project, how, source, message):
    project.settings(tables=TABLES)
    project.tests(source)

    result = project.run(*how, "-v")

    assert result.ret in {1, USAGE}
    result.stdout.fnmatch_lines([f"*not measured: *{message}*"])
    result.stdout.fnmatch_lines(["quantcheck: no budget was decided"])
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()


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


def test_two_backends_of_one_name_are_an_error(project):
    project.tests(
        "@pytest.mark.quant_budget(workload=quiz, max_flip_rate=0.1)\ndef test_quiz(quant): ..."
    )
    project.pytester.makeconftest(
        "import quantcheck_fake\n"
        "def pytest_quantcheck_backends():\n"
        "    return quantcheck_fake.SPECS * 2\n"
    )

    result = project.run()

    assert result.ret == USAGE
    result.stdout.fnmatch_lines(["*two backends are named 'fake'*"])


def test_a_missing_package_skips_and_names_it(project, how):
    project.settings(tables='[tool.quantcheck.variants.rare]\nbackend = "fake"\nprecision="absent"')
    project.tests(
        "@pytest.mark.quant_budget('rare', workload=quiz, max_flip_rate=0.1)\n"
        "def test_quiz(quant): ..."
    )

    result = project.run(*how, "-rs")

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

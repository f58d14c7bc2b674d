"""Every wrong marker and setting is an error that says what to do, and never a regression."""

import re

import pytest

COLLECTION, USAGE = 2, 4

LATENCY = (
    "from pytest_quantcheck import Latency\n"
    "chat = Latency(prompt_tokens=8, new_tokens=4, batch_size=(1, 8))\n"
)
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
    "a time of a quiz": (
        "@pytest.mark.quant_budget(workload=quiz, max_flip_rate=0.1, max_ttft_ratio=1.3)\n"
        "def test_quiz(quant): ...",
        "max_ttft_ratio needs ttft, but workload quiz measures accuracy, accuracy_norm",
    ),
    "an accuracy of times": (
        LATENCY + "@pytest.mark.quant_budget(workload=chat, max_accuracy_drop=0.1)\n"
        "def test_chat(quant): ...",
        "max_accuracy_drop needs accuracy, but workload latency measures ttft, tpot, e2e, ",
    ),
    "two batch sizes": (
        LATENCY + "@pytest.mark.quant_budget(workload=chat, max_ttft_ratio=1.3)\n"
        "def test_chat(quant): ...",
        "workload latency has the batch sizes 1, 8; name one, as in slice='batch 1'",
    ),
    "another batch size": (
        LATENCY + "@pytest.mark.quant_budget(workload=chat, slice='batch 4', max_ttft_ratio=1.3)\n"
        "def test_chat(quant): ...",
        "slice='batch 4': workload latency has no such slice; did you mean 'batch ",
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


def test_a_wrong_marker_is_a_collection_error_of_its_module(project, how):
    names = {f"test_{name.replace(' ', '_')}": name for name in WRONG_MARKERS}
    for module, name in names.items():
        project.tests(WRONG_MARKERS[name][0], module)
    project.pytester.makepyfile(test_other="def test_other(): pass")

    result = project.run(*how)

    assert result.ret == COLLECTION
    shown = result.stdout.str()
    _, *errors = re.split(r"^_+ ERROR collecting (\w+)\.py _+$", shown, flags=re.MULTILINE)
    found = dict(zip(errors[::2], errors[1::2], strict=True))
    missed = [name for module, name in names.items() if WRONG_MARKERS[name][1] not in found[module]]
    assert not missed
    assert found.keys() == names.keys()
    assert "INTERNALERROR" not in shown + result.stderr.str()


WRONG_SETTINGS = {
    "alpha": (["--quant-alpha=0.7"], "--quant-alpha='0.7': expected a number between 0 and 0.5"),
    "alpha text": (["--quant-alpha=five"], "--quant-alpha='five': expected a number"),
    "gate": (["--quant-gate=loose"], "--quant-gate='loose': expected one of regression, strict"),
    "limit": (["--quant-limit=0"], "--quant-limit='0': expected a whole number, at least 1"),
    "family size": (["--quant-family-size=-3"], "--quant-family-size='-3': expected a whole"),
    "seed": (["--quant-seed=x"], "--quant-seed='x': expected a whole number"),
    "a free GPU": (
        ["--quant-gpu-hour-cost=0"],
        "--quant-gpu-hour-cost='0': expected a price above 0",
    ),
    "memory": (["--quant-vram-fraction=1.5"], "--quant-vram-fraction='1.5': expected above 0"),
    "device": (["--quant-device=gpu"], "--quant-device='gpu': expected auto, cpu, cuda or cuda:N"),
    "reference": (["--quant-reference=fp61"], "unknown variant 'fp61'; did you mean 'fp16'"),
    "variants": (["--quant-variants=int8,int44"], "unknown variant 'int44'; did you mean 'int4'"),
    "folder": (["--quant-model=./absent"], "quant_model='./absent': no such folder"),
    "unknown option": (["--quant-charts=x"], "unrecognized arguments: --quant-charts=x"),
}


@pytest.mark.parametrize(("args", "message"), WRONG_SETTINGS.values(), ids=WRONG_SETTINGS)
def test_a_wrong_setting_is_a_usage_error(project, args, message):
    result = project.run(*args)

    assert result.ret == USAGE
    result.stderr.fnmatch_lines([f"*{message}*"])


def test_a_wrong_setting_is_a_usage_error_of_xdist_too(project):
    result = project.run("-n2", "--quant-alpha=0.7")

    assert result.ret == USAGE
    result.stderr.fnmatch_lines("*--quant-alpha='0.7': expected a number between 0 and 0.5*")


WRONG_FILES = {
    "value": ("quant_gate = 'loose'", "", "ERROR: quant_gate='loose': expected one of regression"),
    "option as ini key": ("quant_json = 'x'", "", "no setting of a project; write --quant-json on"),
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
        "unknown precision 'nf5'; did you mean 'nf4'",
    ),
    "neither precision nor checkpoint": (
        "",
        '[tool.quantcheck.variants.mine]\nskip_modules = ["lm_head"]',
        "neither precision nor checkpoint, and mine is no built-in variant",
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

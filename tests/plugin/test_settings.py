"""Settings are read from every file pytest reads, and wrong ones refused in each."""

import json

import pytest

USAGE = 4

TABLES = """
[tool.quantcheck.variants.fp16]
backend = "fake"
[tool.quantcheck.variants.int8]
backend = "fake"
precision = "lossy-0"
"""
INI = "quant_model = model\nquant_variants = int8\nquant_reference = fp16\nquant_device = cpu\n"
TOML = (
    'quant_model = "model"\nquant_variants = ["int8"]\n'
    'quant_reference = "fp16"\nquant_device = "cpu"\n'
)
FILES = {
    "pytest.ini": ("[pytest]", INI, "quant_limit = 100"),
    "tox.ini": ("[pytest]", INI, "quant_limit = 100"),
    "setup.cfg": ("[tool:pytest]", INI, "quant_limit: 100"),
    "pytest.toml": ("[pytest]", TOML, "quant_limit = 100"),
    ".pytest.toml": ("[pytest]", TOML, 'quant_limit = "100"'),
}
NATIVE = {
    "[tool.pytest]": ("quant_limit = 100", "quant_alpha = 0.01"),
    "[tool.pytest.ini_options]": ('quant_limit = "100"', 'quant_alpha = "0.01"'),
}
SUITE = "@pytest.mark.quant_budget(workload=quiz, max_flip_rate=0.1)\ndef test_quiz(quant): ..."


@pytest.fixture
def suite(project):
    project.tests(SUITE)
    return project


def environment_and_n(project):
    run = json.loads((project.pytester.path / "run.json").read_text())
    return run["environment"]["alpha"], run["checks"][0]["n"]


@pytest.mark.parametrize("name", FILES)
def test_settings_stand_in_any_ini_file(suite, how, name):
    table, settings, limit = FILES[name]
    folder = suite.pytester.path
    (folder / "pyproject.toml").write_text(TABLES, encoding="utf-8")
    (folder / name).write_text(f"{table}\n{settings}{limit}\n", encoding="utf-8")

    suite.run(*how, "--quant-json=run.json").assert_outcomes(passed=1)

    assert environment_and_n(suite) == (0.05, 100)


@pytest.mark.parametrize("name", FILES)
def test_an_unknown_setting_is_refused_in_any_ini_file(suite, name):
    table, settings, _ = FILES[name]
    folder = suite.pytester.path
    (folder / "pyproject.toml").write_text(TABLES, encoding="utf-8")
    unknown = "quant_limti = 1" if settings is INI else 'quant_limti = "1"'
    (folder / name).write_text(f"{table}\n{settings}{unknown}\n", encoding="utf-8")

    result = suite.run()

    assert result.ret == USAGE
    result.stderr.fnmatch_lines([f"*{name}: unknown setting 'quant_limti'; did you mean*"])


@pytest.mark.parametrize("table", NATIVE)
def test_numbers_may_be_numbers_in_toml(suite, table):
    lines = "\n".join([table, TOML, *NATIVE[table], TABLES])
    (suite.pytester.path / "pyproject.toml").write_text(lines, encoding="utf-8")

    suite.run("--quant-json=run.json").assert_outcomes(passed=1)
    assert environment_and_n(suite) == (0.01, 100)

    suite.run("--quant-json=run.json", "-o", "quant_alpha=0.02").assert_outcomes(passed=1)
    assert environment_and_n(suite) == (0.02, 100)


def test_a_variant_named_twice_is_one(suite, how):
    suite.settings(ini="addopts = '--quant-variants=int8,int8'")

    suite.run(*how).assert_outcomes(passed=1)


def test_a_variant_of_ones_own_may_have_a_built_in_precision(suite):
    suite.settings(tables='[tool.quantcheck.variants.frugal]\nprecision = "int4"')

    result = suite.run("--collect-only", "--quant-variants=frugal")

    result.stdout.fnmatch_lines(["quantcheck: *variants frugal, *", "*test_quiz[[]frugal[]]*"])


def test_a_model_that_is_no_folder_is_a_hub_id(suite):
    result = suite.run("--collect-only", "--quant-model=acme/absent")

    assert result.ret == 0
    result.stdout.fnmatch_lines(["quantcheck: acme/absent, fp16 reference, *"])


def test_a_project_without_any_file_takes_options(suite):
    (suite.pytester.path / "pyproject.toml").unlink()

    result = suite.run("--quant-model=model", "--quant-variants=int8", "--quant-device=cpu")

    assert result.ret == USAGE
    result.stdout.fnmatch_lines(["*config.json cannot be read there*"])


WRONG_FILES = {
    "truth": ("quant_require_gpu = 'maybe'", "", "quant_require_gpu: *"),
    "a number for a truth": ("quant_require_gpu = 1", "", "quant_require_gpu: *"),
    "a list for a number": ("quant_alpha = [0.1]", "", "quant_alpha: *expects a string*"),
    "variants": ("", "[tool.quantcheck]\nvariants = 3", "variants]: found 3, expected a table"),
    "table": ("", "[tool]\nquantcheck = 3", "[tool.quantcheck]: found 3, expected a table"),
    "precision": ("", "[tool.quantcheck.variants.x]\nprecision = ['nf4']", "precision=['nf4']:"),
    "backend": ("", "[tool.quantcheck.variants.x]\nbackend = 3", "backend=3: expected a string"),
    "folder": ("", "", "quant_model='~/absent': no such folder"),
}


@pytest.mark.parametrize(("line", "tables", "message"), WRONG_FILES.values(), ids=WRONG_FILES)
def test_a_value_of_the_wrong_type_is_a_usage_error(suite, line, tables, message):
    folder = suite.pytester.path
    (folder / "pytest.toml").write_text(f"[pytest]\n{TOML}{line}\n", encoding="utf-8")
    (folder / "pyproject.toml").write_text(tables, encoding="utf-8")

    result = suite.run(*([] if line or tables else ["--quant-model=~/absent"]))

    assert result.ret == USAGE
    result.stderr.fnmatch_lines([f"*{message.replace('[', '[[]')}*"])
    assert "INTERNALERROR" not in result.stderr.str()


@pytest.mark.parametrize("text", ["[tool.quantcheck", "[tool.quantcheck]\n# caf\xe9"])
def test_a_file_that_only_we_read_is_refused_too(suite, text):
    folder = suite.pytester.path
    (folder / "pytest.toml").write_text(f"[pytest]\n{TOML}", encoding="utf-8")
    (folder / "pyproject.toml").write_text(text, encoding="latin-1")

    result = suite.run("-c", "pytest.toml")

    assert result.ret == USAGE
    result.stderr.fnmatch_lines(["*pyproject.toml: not TOML*"])


@pytest.mark.parametrize("path", ["", ".", "test_suite.py/run.json"])
def test_a_file_that_cannot_be_written_is_refused_before_anything_runs(suite, how, path):
    result = suite.run(*how, f"--quant-json={path}")

    assert result.ret == USAGE
    result.stderr.fnmatch_lines([f"*--quant-json={path}: expected a file that can be written*"])


def test_the_ini_file_names_the_model_beside_itself_wherever_pytest_starts(project, monkeypatch):
    project.tests("def test_handle(quant_variant): assert 'SUB' not in repr(quant_variant)")
    folder = project.pytester.mkdir("SUB")
    (folder / "model").mkdir()
    monkeypatch.chdir(folder)

    assert project.run("..").ret == 0
    assert project.run("..", "--quant-model=model").ret == 1

"""Models named wrongly, and what is said of it."""

import pytest

COLLECTION, USAGE = 2, 4
BUDGET = "@pytest.mark.quant_budget('int8', workload=quiz, max_accuracy_drop=0.05)\n"


@pytest.fixture
def suite(project):
    """A project with a second model and an adapter."""
    for name in ("third", "tone"):
        project.pytester.mkdir(name)
    return project


WRONG = {
    "nothing": ("quant_model()", "expected a model: quant_model('models/other')"),
    "two": ("quant_model('a', 'b')", "expected one hub id or folder"),
    "type": ("quant_model(3)", "found (3,), expected one hub id or folder"),
    "keyword": ("quant_model('third', revison='x')", "unknown keyword 'revison'; did you mean"),
    "value": ("quant_model('third', adapter=3)", "adapter=3: expected a string"),
    "truth": ("quant_model('third', adapter='tone', merge='yes')", "merge='yes': expected True"),
    "merge": ("quant_model('third', merge=True)", "merge belongs to an adapter"),
    "folder": ("quant_model('./absent')", "quant_model='./absent': no such folder"),
    "adapter": ("quant_model(adapter='./absent')", "quant_adapter='./absent': no such folder"),
    "revision": ("quant_model('third', revision='v1')", "a revision pins a hub id"),
    "twice": (
        "quant_model('third')\n@pytest.mark.quant_model('model')",
        "two markers on one level",
    ),
}


@pytest.mark.parametrize(("mark", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_marker_is_a_collection_error(suite, mark, message):
    suite.tests(f"@pytest.mark.{mark}\ndef test_handle(int8_model): ...")

    result = suite.run()

    assert result.ret == COLLECTION
    result.stdout.fnmatch_lines(["*quant_model at test_suite.py:*(test_suite.py::test_handle): *"])
    assert message in result.stdout.str()


NO_USE = {
    "function": "@pytest.mark.quant_model('third')\ndef test_plain(): ...",
    "case": "import unittest\nclass TestCase(unittest.TestCase):\n"
    "    @pytest.mark.quant_model('third')\n    def test_plain(self): ...",
}


def test_a_wrong_marker_never_has_the_exit_status_of_a_regression(suite):
    suite.tests("@pytest.mark.quant_model(3)\ndef test_handle(int8_model): ...")

    assert suite.run("-n2").ret == COLLECTION


@pytest.mark.parametrize("source", NO_USE.values(), ids=NO_USE)
def test_a_marker_that_no_fixture_reads_is_a_collection_error(suite, source):
    suite.tests(source)

    result = suite.run()

    assert result.ret == COLLECTION
    result.stdout.fnmatch_lines(["*test_plain): the test requests none of quant,*no effect*"])


def test_a_wrong_marker_of_a_parameter_stops_its_test(suite):
    suite.tests(f"""
@pytest.mark.parametrize("which", [1, pytest.param(2, marks=pytest.mark.quant_model(3))])
{BUDGET}
def test_quiz(quant, which): ...
""")

    result = suite.run()

    assert result.ret == USAGE
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*found (3,), expected one hub id or folder*"])


@pytest.mark.parametrize(
    ("value", "message"),
    [("3", "returned 3; expected a hub id or a folder"), ("'./absent'", "no such folder")],
)
def test_a_fixture_that_names_no_model_is_an_error_of_its_tests(suite, value, message):
    suite.tests(
        f"@pytest.fixture\ndef quant_model(): return {value}\n{BUDGET}def test_x(quant): ..."
    )

    result = suite.run()

    assert result.ret == USAGE
    assert message in result.stdout.str()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--quant-revision=v1", "a revision pins a hub id"),
        ("--quant-adapter=./absent", "quant_adapter='./absent': no such folder"),
    ],
)
def test_wrong_settings_of_the_model_are_usage_errors(suite, option, message):
    suite.tests(f"{BUDGET}def test_quiz(quant): ...")

    result = suite.run(option)

    assert result.ret == USAGE
    assert message in result.stderr.str()


def test_each_folder_that_was_looked_from_is_named_once(suite):
    suite.tests(f"{BUDGET}def test_quiz(quant): ...")

    result = suite.run("--quant-model=./absent")

    assert result.ret == USAGE
    result.stderr.fnmatch_lines([f"*no such folder; looked from {suite.pytester.path}"])


@pytest.mark.parametrize("name", ["revision", "adapter"])
def test_a_setting_of_a_model_needs_a_model(suite, name):
    (suite.pytester.path / "pyproject.toml").unlink()
    suite.tests("def test_nothing(): ...")

    result = suite.run(f"--quant-{name}=x")

    assert result.ret == USAGE
    result.stderr.fnmatch_lines([f"*quant-{name}='x' belongs to quant_model, and none is set*"])

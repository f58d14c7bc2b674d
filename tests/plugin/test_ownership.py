"""No budget goes undecided in silence, wherever its marker stands and whoever owns the fixture."""

import json

import pytest

COLLECTION, USAGE = 2, 4
NOBODY = "none of its tests requests the fixture quant, so the budget would never be decided"
BUDGET = "@pytest.mark.quant_budget('int8', workload=quiz, max_flip_rate=0.1)\n"

UNDECIDED = {
    "on a parameter": (
        BUDGET + "@pytest.mark.parametrize('x', [1, pytest.param(2, marks="
        "pytest.mark.quant_budget('int8', workload=quiz, min_accuracy=0.5))])\n"
        "def test_quiz(quant, x): ...",
        "the marker stands in pytest.param, where it would never be decided",
    ),
    "on a module of plain classes": (
        "pytestmark = pytest.mark.quant_budget(workload=quiz, max_flip_rate=0.1)\n"
        "class TestOne:\n    def test_plain(self): ...\n"
        "class TestTwo:\n    class TestInner:\n        def test_plain(self): ...\n",
        f"quant_budget on test_suite.py: {NOBODY}",
    ),
    "on a module with a plain function and a class": (
        "pytestmark = pytest.mark.quant_budget(workload=quiz, max_flip_rate=0.1)\n"
        "def test_plain(): ...\nclass TestOne:\n    def test_plain(self): ...\n",
        f"quant_budget on test_suite.py: {NOBODY}",
    ),
}


@pytest.mark.parametrize(("source", "message"), UNDECIDED.values(), ids=UNDECIDED)
def test_a_marker_no_test_decides_is_a_collection_error(project, how, source, message):
    project.tests(source)

    result = project.run(*how)

    assert result.ret == COLLECTION
    result.stdout.fnmatch_lines([f"*{message}*"])


MIXED = """
pytestmark = pytest.mark.quant_budget("int8", workload=quiz, max_flip_rate=0.1)
def test_plain(): ...
class TestPlain:
    def test_plain(self): ...
class TestOuter:
    class TestInner:
        def test_quiz(self, quant): ...
class TestEmpty: ...
"""


def test_a_marked_module_without_tests_is_no_error(project, how):
    project.tests("pytestmark = pytest.mark.quant_budget(workload=quiz, max_flip_rate=0.1)")

    assert project.run(*how).ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_one_test_below_a_module_marker_is_enough(project, how):
    project.tests(MIXED)

    project.run(*how).assert_outcomes(passed=3)


def test_a_class_named_alone_says_nothing_about_the_others(project):
    project.tests(MIXED)

    project.run("test_suite.py::TestPlain").assert_outcomes(passed=1)


def test_a_fixture_that_replaces_quant_is_an_error(project, how):
    project.tests(
        "@pytest.fixture\ndef quant(quant_variant): return quant_variant\n" + BUDGET
        + "def test_quiz(quant): ..."
    )  # fmt: skip

    result = project.run(*how)

    assert result.ret == USAGE
    result.stdout.fnmatch_lines(["*the fixture quant is overridden by one that does not request*"])


def test_a_fixture_that_extends_quant_is_fine(project, how):
    project.tests(
        "@pytest.fixture\ndef quant(quant): return quant\n"
        "@pytest.fixture\ndef measured(quant): return quant.verdicts\n" + BUDGET
        + "def test_quiz(measured): assert [check.outcome for check in measured] == ['pass']"
    )  # fmt: skip

    project.run(*how).assert_outcomes(passed=1)


LATE = """
def pytest_itemcollected(item):
    item.add_marker(pytest.mark.quant_budget("int8", max_flip_rate=0.1))
"""


@pytest.mark.parametrize("source", ["def test_quiz(): ...", BUDGET + "def test_quiz(quant): ..."])
def test_a_marker_added_while_collecting_is_an_error(project, how, source):
    project.tests(source)
    with (project.pytester.path / "conftest.py").open("a", encoding="utf-8") as conftest:
        conftest.write(LATE)

    # Nothing else starts the plugin where no test asks for it: a setting does.
    result = project.run(*how)

    assert result.ret == USAGE
    result.stdout.fnmatch_lines(["*the marker was added or removed after collection*"])


def test_tests_that_another_plugin_adds_are_left_alone(project):
    project.tests(BUDGET + "def test_quiz(quant): ...\ndef test_plain(): ...")
    with (project.pytester.path / "conftest.py").open("a", encoding="utf-8") as conftest:
        conftest.write(
            "\ndef pytest_collection_modifyitems(items):\n"
            "    plain = items[-1]\n"
            "    items.append(type(plain).from_parent(plain.parent, name='test_plain'))\n"
        )

    project.run().assert_outcomes(passed=3)


BASES = """
@pytest.mark.quant_budget("int4", workload=quiz, max_accuracy_drop=0.01)
@pytest.mark.quant_budget("int4", workload=quiz, min_accuracy=0.5)
class TestBase:
    def test_quiz(self, quant): ...

class TestSame(TestBase): ...

@pytest.mark.quant_budget("int4", workload=quiz, max_accuracy_drop=0.3)
class TestLoose(TestBase):
    pytestmark = pytest.mark.quant_budget("int4", workload=essay, max_exact_match_drop=0.3)
"""


def test_a_derived_class_is_closer_than_its_base(project, how):
    project.tests(BASES)

    result = project.run(*how, "--quant-json=run.json")

    result.assert_outcomes(passed=1, failed=2)
    checks = json.loads((project.pytester.path / "run.json").read_text())["checks"]
    limits = {
        (check["nodeid"].split("::")[1], check["keyword"]): check["limit"] for check in checks
    }
    assert limits == {
        ("TestBase", "max_accuracy_drop"): 0.01,
        ("TestBase", "min_accuracy"): 0.5,
        ("TestSame", "max_accuracy_drop"): 0.01,
        ("TestSame", "min_accuracy"): 0.5,
        ("TestLoose", "max_accuracy_drop"): 0.3,
        ("TestLoose", "max_exact_match_drop"): 0.3,
        ("TestLoose", "min_accuracy"): 0.5,
    }


def test_a_wrong_marker_is_told_once(project):
    project.tests("@pytest.mark.quant_budget('int8')\ndef test_quiz(quant): ...")

    result = project.run()

    result.stdout.no_fnmatch_line("*During handling*")


def test_a_variant_that_is_not_the_plugins_is_named(project, how):
    project.tests(
        "@pytest.fixture\ndef quant_variant(): return 'int4'\n"
        "@pytest.mark.quant_budget('int4', workload=quiz, max_accuracy_drop=0.5)\n"
        "def test_quiz(quant): ..."
    )

    result = project.run(*how)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["*fixture quant_variant is overridden*write def quant_variant(*"])

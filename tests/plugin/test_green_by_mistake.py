"""Ways a gate could go green silently, row by row, and the tests that show it does not."""

import ast
import json
from pathlib import Path

import pytest

COLLECTION, USAGE = 2, 4
HERE = Path(__file__)

ROWS = {
    "the plugin absent or switched off": (
        "plugin/test_green_by_mistake.py::test_without_the_plugin_nothing_is_green",
        "plugin/test_outcomes.py::test_without_the_plugin_the_suite_is_never_green",
    ),
    "the variant is not, or hardly, quantized": (
        "plugin/test_wrong_runs.py::test_what_cannot_be_measured_is_an_error_and_no_verdict",
        "measure/test_weights.py::test_fused_experts_fail_the_check_with_their_sizes",
        "measure/test_weights.py::test_skipping_everything_is_no_quantized_variant",
    ),
    "weights identical to the reference's": (
        "plugin/test_wrong_runs.py::test_what_cannot_be_measured_is_an_error_and_no_verdict",
        "measure/test_weights.py::test_weights_that_int8_stores_exactly_are_no_quantized_variant",
    ),
    "the prompt scored as the answer": (
        "plugin/test_green_by_mistake.py::test_the_prompt_is_no_part_of_the_output",
    ),
    "NaN or inf logits": (
        "plugin/test_green_by_mistake.py::test_broken_logits_are_an_error_and_no_verdict",
        "measure/test_scoring.py::test_logits_that_are_not_finite_name_the_request",
        "measure/test_generation.py::test_logits_that_are_not_finite_name_the_prompt",
    ),
    "NaN, negative or percent-for-fraction limits": (
        "plugin/test_misuse.py::test_a_wrong_marker_is_a_collection_error_of_its_module",
        "plugin/test_limits.py::test_each_limit_used_wrongly_is_a_collection_error_with_advice",
    ),
    "no variants": ("plugin/test_misuse.py::test_a_missing_setting_names_the_test",),
    "an empty workload, duplicate ids": (
        "plugin/test_wrong_runs.py::test_what_cannot_be_measured_is_an_error_and_no_verdict",
    ),
    "a budget whose metric nothing measured": (
        "plugin/test_misuse.py::test_a_wrong_marker_is_a_collection_error_of_its_module",
        "plugin/test_wrong_runs.py::test_what_cannot_be_measured_is_an_error_and_no_verdict",
    ),
    "a marker on an item the plugin does not own": (
        "plugin/test_misuse.py::test_a_wrong_marker_is_a_collection_error_of_its_module",
        "plugin/test_ownership.py::test_a_marker_no_test_decides_is_a_collection_error",
        "plugin/test_ownership.py::test_a_fixture_that_replaces_quant_is_an_error",
        "plugin/test_wrong_runs.py::test_a_marker_added_after_collection_is_an_error",
    ),
    "one measurement served for two": (
        "plugin/test_green_by_mistake.py::test_variants_and_workloads_never_share_a_measurement",
    ),
    "the model bad at both precisions": (
        "plugin/test_chance.py::test_a_reference_at_chance_is_said_once",
        "plugin/test_chance.py::test_a_floor_on_the_reference_makes_it_red_instead",
    ),
    "toothless budgets": (
        "plugin/test_toothless.py::test_it_is_counted_in_the_last_line",
        "plugin/test_toothless.py::test_the_strict_gate_names_each_and_is_a_wrong_use",
    ),
    "a run in which no budget was decided": (
        "plugin/test_outcomes.py::"
        "test_a_run_that_decides_nothing_says_so_and_is_red_under_the_strict_gate",
    ),
    "all tests skipped for want of a GPU": (
        "plugin/test_wrong_runs.py::test_no_gpu_where_one_is_required_fails",
    ),
    "a configuration error reported as a regression, or the reverse": (
        "plugin/test_wrong_runs.py::test_a_wrong_use_is_not_the_exit_code_of_a_regression",
        "plugin/test_green_by_mistake.py::test_a_regression_beside_a_wrong_use_is_a_regression",
        "plugin/test_toothless.py::test_a_red_verdict_beside_it_stays_a_regression",
    ),
    "a re-run deciding the same data twice": (
        "plugin/test_green_by_mistake.py::test_a_test_run_again_keeps_its_red_verdict",
        "plugin/test_bodies.py::test_a_test_that_is_run_again_gives_its_first_verdict",
    ),
}


@pytest.mark.parametrize("tests", ROWS.values(), ids=ROWS)
def test_each_row_names_tests_there_are_one_of_them_plain_and_under_xdist(tests):
    arguments = []
    for name in tests:
        path, _, function = name.partition("::")
        tree = ast.parse((HERE.parent.parent / path).read_text(encoding="utf-8"))
        functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        arguments += [argument.arg for argument in functions[function].args.args]

    assert "how" in arguments


BUDGET = (
    "@pytest.mark.quant_budget('int4', workload=quiz, max_accuracy_drop=0.02)\n"
    "def test_quiz(quant): ...\n"
)


@pytest.mark.parametrize("off", ["absent", "switched off"])
def test_without_the_plugin_nothing_is_green(project, how, monkeypatch, off):
    project.tests(BUDGET)
    args = ["-p", "no:quantcheck"]
    if off == "absent":
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        args = ["-p", "xdist"] if how else []

    result = project.run_subprocess(*how, *args)

    assert result.ret == 1
    result.stdout.fnmatch_lines(["*fixture 'quant' not found*"])


def test_the_prompt_is_no_part_of_the_output(project, how):
    # The prompt holds the answer: outputs that begin with it would all be right.
    project.tests(
        "from pytest_quantcheck import contains\n"
        "echo = Generation.from_examples(rows(1000, prompt=lambda i: f'right or not, {i}?',"
        " answer='right'), name='echo', score=contains())\n"
        "@pytest.mark.quant_budget('int4', workload=echo, max_contains_drop=0.02)\n"
        "def test_echo(quant): ..."
    )

    result = project.run(*how, "--quant-json=run.json")

    assert result.ret == 1
    (check,) = json.loads((project.pytester.path / "run.json").read_text())["checks"]
    assert (check["reference_level"], check["variant_level"]) == (1.0, 0.8)
    assert {example["variant_output"] for example in check["worst"]} == {"wrong"}


BROKEN = """
import quantcheck_fake
from pytest_quantcheck.measure.protocols import NonFiniteLogitsError

class Broken(quantcheck_fake.FakeModel):
    def score(self, requests, advance=None):
        is_configuration = self.precision == "lossy-1"
        raise NonFiniteLogitsError(
            "the logits are not finite", request=2, is_configuration=is_configuration
        )

class Backend(quantcheck_fake.FakeBackend):
    def load(self, variant, source):
        return Broken(variant.precision, device=source.device)
"""


@pytest.mark.parametrize(("precision", "status"), [("lossy-0", 1), ("lossy-1", 4)])
def test_broken_logits_are_an_error_and_no_verdict(project, how, precision, status):
    (project.pytester.path / "broken_backend.py").write_text(BROKEN, encoding="utf-8")
    with (project.pytester.path / "conftest.py").open("a", encoding="utf-8") as conftest:
        conftest.write(
            "\nfrom pytest_quantcheck.core.protocols import BackendSpec\n"
            "quantcheck_fake.SPECS = [*quantcheck_fake.SPECS,"
            " BackendSpec(name='broken', target='broken_backend:Backend')]\n"
        )
    project.settings(
        tables='[tool.quantcheck.variants.nan]\nbackend="broken"\n' + f'precision="{precision}"'
    )
    project.tests(BUDGET.replace("int4", "nan"))

    result = project.run(*how)

    assert result.ret == status
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["not measured: example e* of quiz: the logits are not finite*"])
    result.stdout.fnmatch_lines(["quantcheck: no budget was decided"])


def test_variants_and_workloads_never_share_a_measurement(project, how):
    project.settings(tables='[tool.quantcheck.variants.twin]\nbackend="fake"\nprecision="lossy-0"')
    project.tests(
        "hard = MultipleChoice.from_examples(rows(1000, context=lambda i: f'question {i % 200}:',"
        " choices=[' right', ' wrong'], answer=0, cluster=lambda i: f'c{i}'), name='quiz')\n"
        "@pytest.mark.quant_budget('twin', 'int4', workload=quiz, max_accuracy_drop=0.3)\n"
        "def test_quiz(quant): ...\n"
        "@pytest.mark.quant_budget('twin', 'int4', workload=hard, max_accuracy_drop=0.3)\n"
        "def test_hard(quant): ...\n"
    )

    result = project.run(*how, "--quant-json=run.json")

    assert result.ret == 1
    checks = json.loads((project.pytester.path / "run.json").read_text())["checks"]
    levels = {c["nodeid"].partition("::")[2]: c["variant_level"] for c in checks}
    assert levels == {
        "test_quiz[twin]": 1.0,
        "test_quiz[int4]": 0.8,
        "test_hard[twin]": 1.0,
        "test_hard[int4]": 0.0,
    }
    assert len({(c["workload"], c["fingerprint"]) for c in checks}) == 2


def test_a_regression_beside_a_wrong_use_is_a_regression(project, how):
    project.tests(
        BUDGET + "@pytest.mark.quant_budget('int8', max_flip_rate=0.1)\n"
        "def test_nothing(quant): ..."
    )

    result = project.run(*how)

    assert result.ret == 1
    result.assert_outcomes(failed=2)


AGAIN = """
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    for _ in range(2):
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        item.config.pluginmanager.get_plugin("runner").runtestprotocol(item, nextitem=nextitem)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
"""


def test_a_test_run_again_keeps_its_red_verdict(project, how):
    project.tests(
        "calls = []\n@pytest.mark.quant_budget('int4', max_score_drop=0.02)\n"
        "def test_score(quant):\n"
        "    calls.append(1)\n"
        "    quant.compare([f'write {i}' for i in range(300)], score=lambda output, example:"
        " len(calls) > 1 or output == 'right')\n"
    )
    with (project.pytester.path / "conftest.py").open("a", encoding="utf-8") as conftest:
        conftest.write(AGAIN)

    result = project.run(*how, "--quant-json=run.json")

    assert result.ret == 1
    assert "passed" not in result.parseoutcomes()
    checks = json.loads((project.pytester.path / "run.json").read_text())["checks"]
    assert [check["outcome"] for check in checks] == ["fail"]

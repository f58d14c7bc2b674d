"""Budgets that could hardly turn red: counted in the last line, an error under the strict gate."""

import json

import pytest

USAGE = 4
FEW = """
few = MultipleChoice.from_examples(
    rows(25, context=lambda i: f"question {i + 500}:", choices=[" right", " wrong"], answer=0),
    name="few")
"""
BUDGET = (
    "@pytest.mark.quant_budget('int8', workload=few, max_accuracy_drop=0.02)\n"
    "def test_few(quant): ...\n"
)
STRONG = (
    "@pytest.mark.quant_budget('int8', workload=quiz, max_accuracy_drop=0.02)\n"
    "def test_quiz(quant): ...\n"
)


def test_it_is_counted_in_the_last_line(project, how):
    project.tests(FEW + BUDGET + STRONG)

    result = project.run(*how, "--quant-json=run.json")

    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["quantcheck: 2 budgets decided: 1 pass, 0 fail, 1 inconclusive; 1 toothless"]
    )
    result.stdout.fnmatch_lines([" few *INCONCLUSIVE*, toothless"])
    checks = json.loads((project.pytester.path / "run.json").read_text())["checks"]
    powers = {check["workload"]: (check["power"], check["power_at"]) for check in checks}
    assert powers["quiz"] == (pytest.approx(1, abs=1e-6), pytest.approx(0.12))
    assert 0 < powers["few"][0] < 0.5


def test_the_strict_gate_names_each_and_is_a_wrong_use(project, how):
    # 25 examples without a change show a drop below 20 pp; a family of 100,000 leaves no chance
    # of red even at 60 pp.
    project.tests(FEW + BUDGET.replace("0.02", "0.2") + STRONG)

    result = project.run(*how, "--quant-gate=strict", "--quant-family-size=100000")

    assert result.ret == USAGE
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "toothless: max_accuracy_drop=0.2 of int8* on few: even at 60.0 pp it would be red "
            "with a chance of only * % (n = 25, alpha 5e-07); use more examples, *",
            "quantcheck: 2 budgets decided: 2 pass, 0 fail, 0 inconclusive; 1 toothless",
        ]
    )


def test_a_red_verdict_beside_it_stays_a_regression(project, how):
    project.tests(FEW + BUDGET)

    result = project.run(*how, "--quant-gate=strict")

    assert result.ret == 1
    result.stdout.fnmatch_lines(["INCONCLUSIVE: int8*on few*", "toothless: max_accuracy_drop*"])


def test_waivers_claims_about_these_examples_and_weights_need_no_teeth(project):
    project.tests(
        FEW + "@pytest.mark.quant_budget('int8', workload=few, max_accuracy_drop=0.02,"
        " waive_until='2999-12-31', reason='few yet')\n"
        "@pytest.mark.quant_budget('int8', workload=few, min_accuracy=0.9, target='dataset')\n"
        "@pytest.mark.quant_budget('int8', max_weight_memory_ratio=0.6)\n"
        "def test_few(quant): ..."
    )

    result = project.run("--quant-gate=strict")

    assert result.ret == 0
    result.stdout.no_fnmatch_line("*toothless*")


def test_where_the_reference_has_nothing_to_lose_more_examples_are_not_advised(project):
    project.tests(
        "hard = Generation.from_examples(rows(200, prompt=lambda i: f'write {i}', answer='never'),"
        " name='hard', max_new_tokens=8)\n"
        "@pytest.mark.quant_budget('int8', workload=hard, max_exact_match_drop=0.05)\n"
        "def test_hard(quant): ..."
    )

    result = project.run("--quant-gate=strict")

    assert result.ret == USAGE
    result.stdout.fnmatch_lines(
        ["toothless: *; the reference has 0.0 % to lose; use examples that it gets right"]
    )


def test_a_plan_says_nothing_of_teeth_where_a_budget_is_waived(project):
    waived = BUDGET.replace("=0.02", "=0.02, waive_until='2999-12-31', reason='known'")
    project.tests(FEW + BUDGET.replace("0.02", "0.2") + waived.replace("test_few", "test_waived"))

    result = project.run("--quant-plan", "--quant-family-size=100000")

    assert result.stdout.str().count("is toothless") == 1

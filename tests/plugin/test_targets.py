"""`target="dataset"`: a claim about these examples only, by arithmetic."""

import json

import pytest

USAGE = 4


def checks_of(project):
    run = json.loads((project.pytester.path / "run.json").read_text())
    return run["environment"], run["checks"]


@pytest.mark.parametrize(("limit", "outcome"), [(0.012, "pass"), (0.0119, "fail")])
def test_the_figure_itself_is_compared(project, how, limit, outcome):
    project.tests(
        "@pytest.mark.quant_budget('mild', workload=quiz, target='dataset',"
        f" max_accuracy_drop={limit})\ndef test_quiz(quant): ..."
    )

    result = project.run(*how, "--quant-json=run.json")

    assert result.ret == (outcome == "fail")
    environment, (check,) = checks_of(project)
    assert (check["outcome"], check["value"], check["target"]) == (outcome, 0.012, "dataset")
    assert {check[key] for key in ("low", "high", "p_pass", "p_fail", "mcnemar_p")} == {None}
    assert (check["is_statistical"], check["is_in_family"]) == (False, False)
    assert environment["checks_collected"] == 0
    result.stdout.fnmatch_lines([f"*1.2 pp  *{outcome.upper()}*on these 1,000 examples"])
    if outcome == "fail":
        result.stdout.fnmatch_lines(
            [
                "FAIL: mild*on quiz: accuracy drop 1.2 pp on these 1,000 examples, budget *",
                "  a claim about these examples only, so no sampling error is involved",
                "  n = 1,000 examples, 12 lost and 0 gained (988 right and 0 wrong in both)",
                "  arithmetic on these examples",
            ]
        )
        assert "p = " not in result.stdout.str()


METRICS = {
    "flips": ("workload=quiz, max_flip_rate=0.012", "workload=quiz, max_flip_rate=0.011"),
    "floor": ("workload=quiz, min_accuracy=0.988", "workload=quiz, min_accuracy=0.989"),
    "perplexity": (
        "workload=manual, max_perplexity_ratio=1.5",
        "workload=manual, max_perplexity_ratio=1.1",
    ),
}


@pytest.mark.parametrize(("kept", "broken"), METRICS.values(), ids=METRICS)
def test_the_setting_holds_for_every_limit(project, kept, broken):
    project.tests(
        f"@pytest.mark.quant_budget('mild', {kept})\ndef test_kept(quant): ...\n"
        f"@pytest.mark.quant_budget('mild', {broken})\ndef test_broken(quant): ..."
    )

    result = project.run("--quant-target=dataset", "--quant-json=run.json")

    result.assert_outcomes(passed=1, failed=1)
    assert {check["target"] for check in checks_of(project)[1]} == {"dataset"}


def test_a_few_examples_are_never_inconclusive_not_even_under_the_strict_gate(project):
    project.settings(ini='quant_target = "dataset"\nquant_gate = "strict"')
    project.tests(
        "@pytest.mark.quant_budget('int8', max_score_drop=0)\ndef test_score(quant):\n"
        "    quant.compare(['write 1', 'write 2'], score=lambda out, ex: len(out) / 9)"
    )

    assert project.run().ret == 0


def test_a_marker_wins_over_the_setting(project):
    project.tests(
        "@pytest.mark.quant_budget('mild', workload=quiz, target='population',"
        " max_accuracy_drop=0.015)\ndef test_quiz(quant): ..."
    )

    assert project.run("--quant-target=dataset").parseoutcomes() == {"inconclusive": 1}


def test_an_unknown_target_is_a_usage_error(project, how):
    project.tests("def test_nothing(): ...")

    result = project.run(*how, "--quant-target=these")

    assert result.ret == USAGE
    result.stderr.fnmatch_lines(["*target='these': expected one of population, dataset*"])

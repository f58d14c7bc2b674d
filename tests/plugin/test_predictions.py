"""Budgets on predictions: divergence from the reference, and agreement with it."""

from __future__ import annotations

import json

import pytest

from pytest_quantcheck.core.examples import unpack

BUDGET = "@pytest.mark.quant_budget({}, workload=manual, {})\ndef test_{}(quant): ...\n\n"


def budgets(**tests):
    """Return the source of tests, each with the limits of one marker on int8."""
    return "".join(BUDGET.format("'int8'", limits, name) for name, limits in tests.items())


def found(project):
    """Return outcome, metric and divergence of each check, by its test."""
    checks = project.record()["checks"]
    return {one["nodeid"].partition("::test_")[2].partition("[")[0]: one for one in checks}


def test_verdicts_tokens_and_records_of_predictions(project):
    project.tests(
        budgets(
            kept="max_mean_kl=0.1",
            broken="max_mean_kl=0.01",
            far="max_p99_kl=0.05",
            top="min_top1_agreement=0.8",
            ratio="max_perplexity_ratio=1.1",
        )
    )
    result = project.run("--quant-json=run.json", "--quant-noise-floor")

    result.assert_outcomes(passed=3, failed=2)
    checks = found(project)
    assert {name: one["outcome"] for name, one in checks.items()} == {
        "kept": "pass", "broken": "fail", "far": "fail", "top": "pass", "ratio": "pass",
    }  # fmt: skip
    assert checks["ratio"]["divergence"] is None
    divergence = checks["broken"]["divergence"]
    assert divergence["max_kl"] == 1.59
    assert divergence["delta_p_rms"] == pytest.approx(0.1)
    assert divergence["worst"][0] | {"context": ""} == {
        "example": "e59", "slice": None, "position": 59, "context": "", "text": "n", "kl": 1.59,
        "delta_p": pytest.approx(-0.1), "reference_top": "n", "reference_p": 0.5,
        "variant_top": "n", "variant_p": 0.4,
    }  # fmt: skip
    measured = {one["is_reference"]: one for one in project.record()["measurements"]}
    assert measured[False]["divergence"] == divergence
    assert measured[True]["divergence"] is None
    data = (project.pytester.path / "run.examples.jsonl.gz").read_bytes()
    for one in unpack(data, sha256=None, place="run").values():
        scored = {scores.metric for scores in one.scores}
        assert ("mean_kl" in scored) == (one.reference is not None)
    assert checks["broken"]["noise_floor"] == 0
    assert checks["far"]["noise_floor"] is None
    result.stdout.fnmatch_lines([
        "FAIL: int8 (lossy-0) on manual: mean_kl 0.05183 nats * budget <= 0.01 nats",
        "  KL of 5,930 tokens: mean 0.05183 nats, p99 1.00000 nats, max 1.59000 nats",
        "*probability of the token that follows: -10.0 pp on average and 10.0 pp RMS*",
        "*worst documents, 5 of 60 that got worse:",
        "    e*  mean_kl 0.0* nats",
        "  worst tokens, 5 of 5,930:",
        "    e59 token 60  KL 1.59000 nats",
        "      after 'al of the ma': 'n' (-10.0 pp)",
        "      reference 'n' 50.0 %, variant 'n' 40.0 %",
    ])  # fmt: skip


def test_a_variant_that_is_the_reference_passes(project):
    project.settings(
        tables='[tool.quantcheck.variants.twin]\nbackend = "fake"\nprecision = "fp16"\n'
    )
    limits = "max_mean_kl=0.001, max_p99_kl=0.001, min_top1_agreement=0.99"
    project.tests(BUDGET.format("'twin'", limits, "twin"))
    project.run("--quant-json=run.json").assert_outcomes(passed=1)
    assert {one["reason"] for one in project.record()["checks"]} == {"identical_scores"}


def test_predictions_are_compared_where_any_collected_budget_asks(project):
    project.tests(
        budgets(kl="max_mean_kl=0.5", ratio="max_perplexity_ratio=1.5")
        + "@pytest.mark.quant_budget('int8', max_mean_kl=0.5)\n"
        "def test_body(quant): quant.measure(other)\n"
        "@pytest.mark.quant_budget('int8', max_perplexity_ratio=1.5)\n"
        "def test_body_ratio(quant): quant.measure(other)\n"
        "other = Documents.from_examples("
        "rows(60, text=lambda i: f'sheet {i} of the manual'), name='other')\n"
    )
    levels = {}
    for selected in ("kl or ratio or body", "ratio", "body_ratio"):
        result = project.run("--quant-json=run.json", "-k", selected)
        assert result.ret == 0
        for one in project.record()["measurements"]:
            if not one["is_reference"]:
                levels.setdefault(one["workload"], set()).add(json.dumps(one["level"]))
        if selected == "ratio":
            compared = {
                one["workload"]: one["divergence"] is not None
                for one in project.record()["measurements"]
                if not one["is_reference"]
            }
            assert compared == {"manual": True, "other": False}
    assert {name: len(found) for name, found in levels.items()} == {"manual": 1, "other": 1}


def test_other_vocabularies_are_an_error_that_says_so(project):
    project.settings(
        tables='[tool.quantcheck.variants.wide]\nbackend = "fake"\nprecision = "wide-0"\n'
    )
    project.tests(BUDGET.format("'wide'", "max_mean_kl=0.5", "wide"))
    result = project.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*the reference predicts 123 tokens and the variant 124*"])
    assert result.ret == 4


def test_early_stopping_waits_for_all_documents_of_such_a_budget(project):
    project.tests(budgets(kl="max_mean_kl=0.5", ratio="max_perplexity_ratio=1.5"))
    project.run("--quant-json=run.json", "--quant-sequential=on").assert_outcomes(passed=2)
    checks = found(project)
    assert (checks["kl"]["n"], checks["kl"]["stopped_early"]) == (60, False)


def test_the_plan_lists_them_without_figures(project):
    project.tests(budgets(kl="max_mean_kl=0.5, max_p99_kl=0.5, min_top1_agreement=0.9"))
    result = project.run("--quant-plan")
    assert result.ret == 0
    lines = [line for line in result.outlines if "not planned: depends on the predictions" in line]
    assert len(lines) == 3


def test_budgets_on_predictions_are_suggested(project):
    from pytest_quantcheck.cli.main import main

    project.tests(budgets(kl="max_mean_kl=0.5"))
    project.run("--quant-json=run.json")
    assert main(["suggest-budgets", str(project.pytester.path / "run.json")]) == 0


def test_claims_about_these_documents_are_arithmetic(project):
    project.tests(budgets(kl="max_mean_kl=0.0519, max_p99_kl=1.0, min_top1_agreement=0.89"))
    project.run("--quant-json=run.json", "--quant-target=dataset").assert_outcomes(passed=1)


def test_few_documents_are_counted_in_the_blocks_they_are_cut_into(project):
    project.tests(
        "long = Documents.from_examples(rows(2, text=lambda i: f'page {i} of it ' * 400),\n"
        "    name='long')\n"
        "@pytest.mark.quant_budget('int4', workload=long, max_perplexity_ratio=1.1)\n"
        "def test_long(quant): ...\n"
    )

    result = project.run("--quant-json=run.json")

    (check,) = project.record()["checks"]
    assert (check["outcome"], check["n"], check["are_blocks"]) == (
        "fail",
        40,
        True,
    )  # 2 · (5,200 // 256)
    result.stdout.fnmatch_lines(["  n = 40 blocks"])

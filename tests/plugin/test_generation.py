"""Generation through the plugin: degenerate outputs, judges, samples, callables that ask."""

import json

import pytest

DEGENERATE = """
quiet = Generation.from_examples(
    rows(300, prompt=lambda i: f"write {i}" + (", say nothing" if i % 2 else ", go on"),
         answer="right"), name="quiet", max_new_tokens=32)

@pytest.mark.quant_budget("int8", workload=quiet, max_degenerate_rise=0.05, max_loop=0.05,
                          max_reference_empty=0.05, max_length_drift_rise=0.05)
def test_sound(quant): ...

@pytest.mark.quant_budget("lost", workload=quiet, max_degenerate_rise=0.05)
def test_degenerate(quant): ...

@pytest.mark.quant_budget("lost", workload=quiet, max_empty=0.1)
def test_empty(quant): ...

@pytest.mark.quant_budget("lost", workload=quiet, max_loop_rise=0.1, max_length_drift_rise=0.1)
def test_loop(quant): ...

@pytest.mark.quant_budget("lost", workload=quiet, max_flip_rate=0.5)
def test_flips(quant): ...
"""
LOST = '[tool.quantcheck.variants.lost]\nbackend = "fake"\nprecision = "lossy-900"'


def run_of(project):
    return json.loads((project.pytester.path / "run.json").read_text(encoding="utf-8"))


def test_degenerate_outputs_have_limits_and_leave_correctness_alone(project, how):
    project.settings(tables=LOST)
    project.tests(DEGENERATE)

    result = project.run(*how, "--quant-json=run.json")

    result.assert_outcomes(passed=1, failed=4)
    checks = {
        (one["nodeid"].partition("::")[2], one["keyword"]): one for one in run_of(project)["checks"]
    }
    levels = {key: (one["reference_level"], one["variant_level"]) for key, one in checks.items()}
    assert levels["test_degenerate[lost]", "max_degenerate_rise"] == (0, 1)
    assert levels["test_empty[lost]", "max_empty"] == (0, 0.5)
    assert levels["test_loop[lost]", "max_loop_rise"] == (0, 0.5)
    assert checks["test_flips[lost]", "max_flip_rate"]["metric"] == "exact_match"
    assert {one["outcome"] for one in checks.values()} == {"pass", "fail"}


def test_cut_outputs_are_told_for_both_models(project, how):
    project.tests(
        "cut = Generation.from_examples(rows(100, prompt=lambda i: f'write {i}', answer='right'),\n"
        "    name='cut', max_new_tokens=3)\n"
        "@pytest.mark.quant_budget('int8', workload=cut, max_exact_match_drop=0.2)\n"
        "def test_cut(quant): ..."
    )

    result = project.run(*how)

    said = "100 of 100 outputs were cut by max_new_tokens=3 and are not right; raise it, or end *"
    result.stdout.fnmatch_lines(
        [f" warning: cut, fp16 (float32 compute): {said}", f" warning: cut, int8 (lossy-0): {said}"]
    )


def test_cut_outputs_are_not_called_wrong_where_a_judge_decides(project):
    project.tests(
        "@pytest.mark.quant_budget('int8', max_score_drop=0.2)\n"
        "def test_judged(quant):\n"
        "    quant.compare([f'write {i}' for i in range(50)], judge=lambda *_: 1, max_new_tokens=3)"
    )

    result = project.run()

    result.stdout.fnmatch_lines(["*50 of 50 outputs were cut by max_new_tokens=3; raise it, or *"])


BODIES = """
PROMPTS = [f"write {i}" for i in range(300)]

@pytest.mark.quant_budget("int8", max_score_drop=0.05)
@pytest.mark.quant_budget("int4", max_score_drop=0.05)
def test_judge(quant):
    quant.compare(PROMPTS, judge=lambda example, before, after: float(before == after))

@pytest.mark.quant_budget("int8", "int4", max_score_drop=0.05)
def test_win(quant):
    quant.compare(PROMPTS, judge=lambda example, before, after: (before < after, after < before))

@pytest.mark.quant_budget("int4", max_score_drop=0.05)
def test_run(quant):
    def ask(handle, example):
        return handle.generate(example) + "!"
    quant.compare(PROMPTS, score=lambda output, example: output == "right!", run=ask)

@pytest.mark.quant_budget("int4", max_score_drop=0.05)
def test_samples(quant):
    quant.compare(PROMPTS, score=lambda output, example: output == "right",
                  temperature=1.0, samples=2)
"""


def test_judges_callables_and_samples_in_a_body(project, how):
    project.tests(BODIES)

    result = project.run(*how, "--quant-json=run.json")

    result.assert_outcomes(passed=2, failed=4)
    checks = {one["nodeid"].partition("::")[2]: one for one in run_of(project)["checks"]}
    levels = {name: (one["reference_level"], one["variant_level"]) for name, one in checks.items()}
    assert levels["test_judge[int8]"] == (1, 1)
    assert levels["test_judge[int4]"] == (1, pytest.approx(1 / 3))
    assert levels["test_win[int4]"] == (pytest.approx(2 / 3), 0)
    assert levels["test_run[int4]"] == levels["test_judge[int4]"]
    assert (checks["test_samples[int4]"]["n"], checks["test_samples[int4]"]["n_clusters"]) == (
        600,
        300,
    )


def test_a_comparison_needs_a_score_or_a_judge(project, how):
    project.tests(
        "@pytest.mark.quant_budget('int8', max_score_drop=0.1)\n"
        "def test_nothing(quant): quant.compare(['write 1'])"
    )

    result = project.run(*how)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["*not measured: quant.compare(examples): expected score=*"])

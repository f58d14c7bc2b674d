"""`--quant-noise-floor`: the reference against itself, and what does not rise above it."""

import json

import pytest

TABLES = """
[tool.quantcheck.variants.jittery]
backend = "fake"
precision = "jittery-30"
"""
SUITE = """
@pytest.mark.quant_budget("mild", workload=quiz, max_accuracy_drop=0.001)
@pytest.mark.quant_budget("int4", workload=quiz, max_accuracy_drop=0.001, min_accuracy=0.5)
def test_quiz(quant): ...

@pytest.mark.quant_budget("mild", workload=essay, max_exact_match_drop=0.001, max_flip_rate=0.001)
def test_essay(quant): ...

@pytest.mark.quant_budget("int8", workload=manual, max_perplexity_ratio=1.001)
def test_manual(quant): ...
"""
# 30 flips in 1,000: at most 4.0 % with 95 % confidence.
NOISE = "4.0"


@pytest.fixture
def suite(project):
    project.settings(tables=TABLES)
    project.tests(SUITE)
    return project


def run(project, *args):
    result = project.run("--quant-json=run.json", *args)
    record = json.loads((project.pytester.path / "run.json").read_text(encoding="utf-8"))
    return result, record


def checks_of(record):
    return {(check["variant"], check["keyword"]): check for check in record["checks"]}


def test_a_fail_that_may_be_noise_is_held_back(suite, how):
    plain, before = run(suite, *how, "--quant-reference=jittery")
    held, record = run(suite, *how, "--quant-reference=jittery", "--quant-noise-floor")

    assert plain.parseoutcomes()["failed"] == 4
    assert all(check["noise_floor"] is None for check in before["checks"])
    assert before["noise"] == []
    # Only the cliff is larger than what the reference differs from itself by.
    assert (held.ret, held.parseoutcomes()["failed"]) == (1, 1)
    checks = checks_of(record)
    assert checks["int4", "max_accuracy_drop"]["outcome"] == "fail"
    for key in (
        ("mild", "max_accuracy_drop"),
        ("mild", "max_exact_match_drop"),
        ("mild", "max_flip_rate"),
        ("int8", "max_perplexity_ratio"),
    ):
        assert (checks[key]["outcome"], checks[key]["reason"]) == (
            "inconclusive",
            "below_noise_floor",
        )
        assert checks[key]["p_fail"] <= checks[key]["alpha_fail"]
    assert checks["int4", "min_accuracy"]["noise_floor"] is None
    assert record["also_failing"] == []


def test_verdicts_and_summary_show_the_floor(suite, how):
    result, record = run(suite, *how, "--quant-reference=jittery", "--quant-noise-floor")

    result.stdout.fnmatch_lines(["*budget*noise*n*verdict*"])
    result.stdout.fnmatch_lines([f"*quiz*mild*{NOISE} pp*INCONCLUSIVE*below noise floor*"])
    result.stdout.fnmatch_lines([f"  noise floor {NOISE} pp: the reference measured twice"])
    result.stdout.fnmatch_lines(
        [
            f" noise floor of quiz accuracy: at most {NOISE} %; 30 of 1,000 differ where "
            "jittery* is measured again in packs of at most 7, by * nats on average"
        ]
    )
    found = {noise["workload"]: noise for noise in record["noise"]}
    assert (found["essay"]["n_different"], found["essay"]["difference"]) == (30, -0.03)
    assert found["quiz"]["margin_nats"] > 0
    assert found["essay"]["margin_nats"] is None
    result.stdout.fnmatch_lines([" noise floor of manual perplexity: at most * nats per token; *"])


def test_a_reference_that_repeats_itself_has_no_floor_to_speak_of(suite):
    result, record = run(suite, "--quant-noise-floor")

    assert result.parseoutcomes()["failed"] == 4
    assert {noise["is_identical"] for noise in record["noise"]} == {True}
    floors = {check["noise_floor"] for check in record["checks"]}
    assert floors == {None, 0.0, 1.0}
    result.stdout.fnmatch_lines(
        [" noise floor of quiz accuracy: 0, fp16* gives the same in packs of at most 7"]
    )


def test_a_claim_about_these_examples_has_no_floor(suite):
    result, record = run(
        suite, "--quant-reference=jittery", "--quant-noise-floor", "--quant-target=dataset"
    )

    assert result.parseoutcomes()["failed"] == 4
    assert {check["noise_floor"] for check in record["checks"]} == {None}
    assert len(record["noise"]) == 3


def test_the_ini_file_asks_too_and_the_scores_stay_the_same(suite):
    _, before = run(suite)
    suite.settings(ini="quant_noise_floor = true", tables=TABLES)
    _, after = run(suite)

    assert [noise["metric"] for noise in after["noise"]] == [
        "accuracy",
        "exact_match",
        "perplexity",
    ]
    same = {"noise_floor", "outcome", "reason", "note"}
    for one, other in zip(before["checks"], after["checks"], strict=True):
        assert {k: v for k, v in one.items() if k not in same} == {
            k: v for k, v in other.items() if k not in same
        }


def test_a_judge_compares_the_reference_with_itself(project):
    project.settings(tables=TABLES)
    project.tests(
        "def judge(example, before, after):\n"
        "    return (1, 0) if before != after else (0.5, 0.5)\n"
        "@pytest.mark.quant_budget('mild', max_score_drop=0.01)\n"
        "def test_essay(quant):\n"
        "    quant.compare([f'write {i}' for i in range(1000)], judge=judge, max_new_tokens=8)\n"
    )

    _, record = run(project, "--quant-reference=jittery", "--quant-noise-floor")

    (noise,) = record["noise"]
    assert (noise["metric"], noise["n_different"]) == ("score", 30)


def test_the_reference_is_loaded_once_where_both_fit(suite):
    import quantcheck_fake

    suite.run("--quant-noise-floor")

    assert quantcheck_fake.LOADS.count("fp16") == 1

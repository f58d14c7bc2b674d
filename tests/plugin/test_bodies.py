"""What a test's body may do with `quant`, and what each mistake there is answered with."""

import json

import pytest

USAGE = 4

MISTAKES = {
    "verdicts on the wrong thing": (
        "quant.measure(manual)\n    quant.verdicts",
        "max_flip_rate needs right and wrong answers, but workload manual measures perplexity",
    ),
    "no workload": ("quant.measure(['a'])", "workload=['a']: expected a workload"),
    "one string": ("quant.compare('a', score=len)", "examples='a': expected a list of prompts"),
    "bounds": ("quant.compare(['1'], score=len, bounds=1)", "bounds=1: expected two finite"),
    "only a failed measurement": (
        "with pytest.raises(Exception, match='returned None'):\n"
        "        quant.compare(['1', '2'], score=lambda output, example: None)",
        "must measure exactly one; it measured none",
    ),
}


@pytest.mark.parametrize(("body", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_the_body_is_a_usage_error(project, how, body, message):
    project.tests(
        f"@pytest.mark.quant_budget('int8', max_flip_rate=0.1)\ndef test_quiz(quant):\n    {body}"
    )

    result = project.run(*how)

    assert result.ret == USAGE
    result.stdout.fnmatch_lines([f"*not measured: *{message.replace('[', '[[]')}*"])


def test_a_mistake_in_a_fixture_is_told_like_one_in_a_body(project, how):
    project.tests(
        "@pytest.fixture\ndef measured(quant): return quant.measure('quiz')\n"
        "@pytest.mark.quant_budget('int8', max_flip_rate=0.1)\ndef test_quiz(measured): ..."
    )

    result = project.run(*how)

    assert result.ret == USAGE
    result.stdout.fnmatch_lines(["not measured: workload='quiz': expected a workload*"])


def test_a_plain_test_without_a_model_is_not_collected(project, how):
    (project.pytester.path / "pyproject.toml").write_text("", encoding="utf-8")
    project.pytester.makepyfile(test_plain="def test_refuses(int8_model): ...")

    result = project.run(*how)

    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*no model; set quant_model*"])


def test_a_missing_package_skips_a_plain_test_whose_fixture_asks(project, how):
    project.settings(tables='[tool.quantcheck.variants.nf4]\nbackend = "fake"\nprecision="absent"')
    project.tests(
        "@pytest.fixture\ndef answer(quant_variant): return quant_variant.generate('write 1')\n"
        "def test_answer(answer): ..."
    )

    result = project.run(*how, "--quant-variants=nf4,nf4", "-rs")

    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*pip install imaginary*"])


def test_a_failed_measurement_leaves_the_budget_to_the_next(project):
    project.tests(
        "@pytest.mark.quant_budget('int8', max_score_drop=0.2)\ndef test_score(quant):\n"
        "    prompts = [{'prompt': f'write {i}', 'id': None} for i in range(300)]\n"
        "    with pytest.raises(Exception, match='outside bounds'):\n"
        "        quant.compare(prompts, score=lambda output, example: 7)\n"
        "    levels = quant.compare(prompts, score=lambda output, example: output == 'right')\n"
        "    assert (levels.reference['score'], levels.variant['score']) == (1.0, 1.0)\n"
        "    (verdict,) = quant.verdicts\n"
        "    assert verdict.outcome == 'pass'\n"
    )

    project.run().assert_outcomes(passed=1)


def test_a_workload_measured_twice_is_one(project):
    project.tests(
        "@pytest.mark.quant_budget('int8', max_flip_rate=0.1)\ndef test_quiz(quant):\n"
        "    assert quant.measure(quiz) == quant.measure(quiz)\n"
    )

    project.run().assert_outcomes(passed=1)


def test_a_loss_is_read_by_token_word_and_byte(project):
    project.tests(
        "import math\n"
        "@pytest.mark.quant_budget('int8', workload=manual, max_word_perplexity_ratio=9)\n"
        "def test_manual(quant):\n"
        "    side = quant.measure(manual).variant\n"
        "    words = sum(len(one.item.text.split()) + 1 for one in manual.examples())\n"
        "    size = sum(len(one.item.text) for one in manual.examples())\n"
        "    nats = math.log(side['perplexity']) * size  # a character is a token\n"
        "    assert side['word_perplexity'] == pytest.approx(math.exp(nats / words))\n"
        "    assert side['byte_perplexity'] == pytest.approx(math.exp(nats / size))\n"
        "    assert side['bits_per_byte'] == pytest.approx(nats / size / math.log(2))\n"
        "    (verdict,) = quant.verdicts\n"
        "    assert verdict.variant_level == side['word_perplexity']\n"
        "    assert verdict.variant_text_loss.n_words == words\n"
    )

    result = project.run("--quant-json=run.json")

    result.assert_outcomes(passed=1)
    run = json.loads((project.pytester.path / "run.json").read_text(encoding="utf-8"))
    for one in run["measurements"]:
        assert one["text_loss"]["byte_perplexity"] == pytest.approx(one["level"])


TWO_SCORERS = """
PROMPTS = [f"write {i}" for i in range(30)]

@pytest.mark.quant_budget("int8", max_score_drop=0.3)
def test_polite(quant): quant.compare(PROMPTS, score=lambda output, example: 1.0)

@pytest.mark.quant_budget("int8", max_score_drop=0.3)
@pytest.mark.parametrize("part", ["a::b", "c"])
def test_(quant, part): quant.compare([part + p for p in PROMPTS], score=lambda output, example: 0)
"""


def test_two_scorers_of_the_same_prompts_are_two_columns(project, how):
    project.tests(TWO_SCORERS)

    result = project.run(*how, "--quant-json=run.json")

    result.assert_outcomes(passed=3)
    run = json.loads((project.pytester.path / "run.json").read_text())
    assert {check["workload"] for check in run["checks"]} == {"polite", "test_"}
    result.stdout.re_match_lines([r".* variant +weights +ratio .*polite", r".* int8 .*0\.0000"])
    assert "test_ (2)" in result.stdout.str()


RERUN = """
import pytest

def pytest_addoption(parser): parser.addoption("--again", action="store_true")

def pytest_quantcheck_record(record): print("RECORDED", record.nodeid)

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    if not item.config.getoption("again"): return None
    for _ in range(2):
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        item.config.pluginmanager.get_plugin("runner").runtestprotocol(item, nextitem=nextitem)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
"""


def test_a_test_that_is_run_again_gives_its_first_verdict(project):
    project.tests(
        "calls = []\n@pytest.mark.quant_budget('int4', max_score_drop=0.02)\n"
        "def test_score(quant):\n"
        "    calls.append(1)\n"
        "    quant.compare([f'write {i}' for i in range(300)], score=lambda output, example:"
        " len(calls) > 1 or output == 'right')\n"
    )
    with (project.pytester.path / "conftest.py").open("a", encoding="utf-8") as conftest:
        conftest.write(RERUN)

    result = project.run("--again", "-s", "--quant-json=run.json")

    result.assert_outcomes(failed=2)
    run = json.loads((project.pytester.path / "run.json").read_text())
    assert [check["outcome"] for check in run["checks"]] == ["fail"]
    assert result.stdout.str().count("RECORDED") == 1


def test_other_ways_to_run_a_suite(project):
    project.tests(
        "@pytest.mark.quant_budget('mild', workload=essay, max_exact_match_drop=0.015)\n"
        "def test_essay(quant, subtests):\n    with subtests.test('inner'): ...\n"
    )

    assert project.run("-p", "no:terminal").ret == 0
    assert project.run("-s", "--keep-duplicates", "test_suite.py", "test_suite.py").ret == 0
    assert project.run("-v", "--no-summary").ret == 0
    assert project.run("--setup-plan").ret == 0


def test_the_reproduction_keeps_options_in_any_form_and_fits_the_folder(project, monkeypatch):
    project.tests(
        "@pytest.mark.quant_budget('int4', workload=quiz, max_accuracy_drop=0.02)\n"
        "def test_quiz(quant): ..."
    )
    monkeypatch.chdir(project.pytester.mkdir("deeper"))

    result = project.run("..", "--quant-alpha", "0.01", "--quant-json", "run.json")

    result.stdout.fnmatch_lines(
        [
            "  reproduce: pytest '../test_suite.py::test_quiz[[]int4[]]' --quant-alpha=0.01 "
            "--quant-family-size=1"
        ]
    )

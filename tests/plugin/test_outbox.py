"""Per-example records beside `--quant-json`: complete, sent once, and only when asked for."""

import gzip
import json
from pathlib import Path

import pytest
from jsonschema import validate

import pytest_quantcheck
from pytest_quantcheck.cli.main import main
from pytest_quantcheck.core.examples import unpack
from pytest_quantcheck.report.json import read_json

SCHEMA = Path(pytest_quantcheck.__file__).parent / "report" / "schema.json"
SUITE = """
budget = pytest.mark.quant_budget
story = Generation.from_examples(
    rows(40, prompt=lambda i: f"tell {i}", answer="right", cluster=lambda i: f"c{i // 2}",
         slice=lambda i: "even" if i % 2 == 0 else None), name="story", max_new_tokens=8)

@budget("int8", workload=quiz, max_accuracy_drop=0.02)
@budget("int4", workload=quiz, max_accuracy_drop=0.02)
def test_quiz(quant): ...

@budget("int4", workload=quiz, max_flip_rate=0.5)
@budget("int4", workload=quiz, max_weight_memory_ratio=0.7)
@budget("int4", workload=story, slice="even", max_exact_match_drop=0.5)
@budget("int4", workload=manual, max_perplexity_ratio=3)
def test_more(quant): ...
"""


@pytest.fixture
def suite(project):
    """Two tests of the same measurement, and of three more workloads."""
    project.tests(SUITE)
    return project


def saved(folder, name="run.json"):
    """Return the run, and its per-example records by key, checked against the digest."""
    run = read_json((folder / name).read_text(encoding="utf-8"), place=name)
    data = (folder / run.examples.path).read_bytes()
    return run, unpack(data, sha256=run.examples.sha256, place=name)


def test_lines_follow_the_published_schema(suite):
    suite.run("--quant-json=run.json")

    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    data = gzip.decompress((suite.pytester.path / "run.examples.jsonl.gz").read_bytes())
    lines = data.decode().splitlines()[1:]
    assert len(lines) == 4 + 3
    for line in lines:
        validate(json.loads(line), schema | {"$ref": "#/$defs/ExamplesRecord"})


def test_every_check_finds_its_scores(suite, how):
    suite.run(*how, "--quant-json=out/run.json")

    run, records = saved(suite.pytester.path / "out")
    assert run.examples.path == "run.examples.jsonl.gz"
    assert len(records) == 4 + 3
    by_keyword = {(check.workload, check.keyword): check for check in run.checks}
    assert by_keyword["", "max_weight_memory_ratio"].examples is None
    for (workload, _), check in by_keyword.items():
        if workload:
            variant = records[check.examples]
            reference = records[variant.reference]
            assert (variant.workload, variant.variant) == (workload, check.variant)
            assert variant.fingerprint == reference.fingerprint == check.fingerprint
            assert (reference.variant, reference.reference) == ("fp16", None)
    quiz = records[by_keyword["quiz", "max_flip_rate"].examples]
    assert sum(quiz.rows_of("accuracy").values) == 800
    assert quiz.outputs[199:201] == [" wrong", " right"]
    assert quiz.margins[199] < 0 < quiz.margins[200]
    story = records[by_keyword["story", "max_exact_match_drop"].examples]
    assert story.clusters[:4] == [0, 0, 1, 1]
    assert story.slices[:4] == ["even", None, "even", None]
    assert story.n_tokens == [5] * 40
    assert story.first_divergence == [0] * 40
    assert records[story.reference].first_divergence is None
    assert story.rows_of("exact_match").values == [0.0] * 40
    manual = records[by_keyword["manual", "max_perplexity_ratio"].examples].rows_of("perplexity")
    assert min(manual.weights) > 50
    assert manual.ids[0] == "e0"


def test_plain_and_distributed_runs_write_the_same_bytes(suite):
    path = suite.pytester.path

    suite.run("--quant-json=one.json")
    suite.run("-n2", "--quant-json=two")

    one = (path / "one.examples.jsonl.gz").read_bytes()
    assert (path / "two.examples.jsonl.gz").read_bytes() == one
    assert not [*path.glob("*.partial")]


def test_nothing_is_kept_or_sent_unless_asked_for(suite):
    suite.pytester.makeconftest(
        (suite.pytester.path / "conftest.py").read_text()
        + "\ndef pytest_runtest_logreport(report):\n"
        "    assert not getattr(report, 'quantcheck', {}).get('examples')\n"
        "def pytest_unconfigure(config):\n"
        "    session = config.pluginmanager.get_plugin('quantcheck-session')\n"
        "    assert not session.journal.examples\n"
    )

    result = suite.run("-q", "--tb=no")

    result.assert_outcomes(passed=1, failed=2)
    assert not [*suite.pytester.path.glob("*.gz")]


def test_each_measurement_is_sent_once(suite):
    suite.pytester.makeconftest(
        (suite.pytester.path / "conftest.py").read_text() + "\nfrom pathlib import Path\n"
        "@pytest.hookimpl(wrapper=True)\n"
        "def pytest_report_to_serializable(config, report):\n"
        "    if n := len(getattr(report, 'quantcheck', {}).get('examples', ())):\n"
        "        with Path('sent').open('a') as file:\n"
        "            file.write(f'{report.nodeid} {report.when} {n}\\n')\n"
        "    return (yield)\n"
    )

    suite.run("-n1", "--quant-json=run.json")

    assert (suite.pytester.path / "sent").read_text().splitlines() == [
        "test_suite.py::test_quiz[int8] setup 2",
        "test_suite.py::test_quiz[int4] setup 1",
        "test_suite.py::test_more[int4] setup 4",
    ]


def test_a_judged_reference_has_a_record_for_each_variant(project):
    project.tests(
        "def judge(example, before, after): return (1, 0) if before != after else (0.5, 0.5)\n"
        "judged = Generation.from_examples(rows(30, prompt=lambda i: f'say {i + 190}'),\n"
        "    name='judged', judge=judge, max_new_tokens=8)\n"
        "@pytest.mark.quant_budget(workload=judged, max_score_drop=0.9)\n"
        "def test_judged(quant): ...\n"
    )

    project.run("--quant-json=run.json").assert_outcomes(passed=2)

    run, records = saved(project.pytester.path)
    references = {check.variant: records[records[check.examples].reference] for check in run.checks}
    means = {name: sum(found.rows_of("score").values) / 30 for name, found in references.items()}
    assert means == {"int8": 0.5, "int4": pytest.approx((10 + 20 * 0.5) / 30)}


def test_what_a_broken_test_had_measured_is_kept(project):
    project.tests(
        "@pytest.mark.quant_budget('int4', workload=quiz, max_accuracy_drop=0.5)\n"
        "def test_quiz(quant): assert False\n"
    )

    project.run("--quant-json=run.json").assert_outcomes(failed=1)

    run, records = saved(project.pytester.path)
    assert run.checks == []
    assert {record.variant for record in records.values()} == {"fp16", "int4"}


def test_a_run_of_weights_alone_names_no_file(project):
    project.tests(
        "@pytest.mark.quant_budget('int4', max_weight_memory_ratio=0.7)\n"
        "def test_weights(quant): ...\n"
    )

    project.run("--quant-json=run.json").assert_outcomes(passed=1)

    run = json.loads((project.pytester.path / "run.json").read_text())
    assert run["examples"] is None
    assert not [*project.pytester.path.glob("*.gz")]


def test_long_outputs_lose_their_middle(project):
    project.tests(
        "long = Generation.from_examples(rows(2, prompt=lambda i: f'{i} go'), name='long',\n"
        "    run=lambda handle, example: 'a' * 1500 + 'b' * 1500, score=lambda text, example: 1)\n"
        "@pytest.mark.quant_budget('int4', workload=long, max_score_drop=0.5)\n"
        "def test_long(quant): ...\n"
    )

    assert project.run("--quant-json=run.json").ret == 0

    text = "a" * 1000 + "[1,000 characters left out]" + "b" * 1000
    _, records = saved(project.pytester.path)
    assert [record.outputs for record in records.values()] == [[text, text]] * 2
    raw = gzip.decompress((project.pytester.path / "run.examples.jsonl.gz").read_bytes())
    assert raw.isascii()


def test_what_stopped_early_is_what_was_measured(project, how, capsys, monkeypatch):
    project.tests(
        "@pytest.mark.quant_budget('int4', workload=quiz, max_accuracy_drop=0.02)\n"
        "@pytest.mark.quant_budget('int4', workload=quiz, max_weight_memory_ratio=0.7)\n"
        "def test_quiz(quant): ...\n"
    )
    project.run(*how, "--quant-sequential=on", "--quant-json=run.json")
    capsys.readouterr()
    monkeypatch.chdir(project.pytester.path)

    run, records = saved(project.pytester.path)

    (check,) = [check for check in run.checks if check.examples]
    assert check.stopped_early
    variant = records[check.examples]
    assert len(variant.ids) == len(variant.outputs) == check.n < 1000
    assert variant.n_planned == check.n_planned == 1000
    assert records[variant.reference].ids == variant.ids
    assert variant.course.drawn[0].n_clusters is None
    assert len(records) == 2
    assert main(["suggest-budgets", "run.json"]) == 2
    assert "stopped early" in capsys.readouterr().err

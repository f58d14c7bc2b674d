"""`quantcheck verify` on a run: green as it was, red where anything has changed since."""

import json

import altered_examples
import pytest

from pytest_quantcheck.cli.main import main
from pytest_quantcheck.cli.rejudging import _is_close

SUITE = """
budget = pytest.mark.quant_budget
sliced = large("sliced", slice=lambda i: "low" if i % 1000 < 200 else "high",
               cluster=lambda i: f"c{i // 2}")
book = Documents.from_examples(
    rows(200, text=lambda i: f"page {i} " + "of the book " * (5 + i % 4)), name="book")

@budget("int4", workload=quiz, max_accuracy_drop=0.02, max_flip_rate=0.3)
@budget("int4", workload=quiz, max_accuracy_norm_drop=0.5, target="dataset")
@budget("int4", workload=quiz, min_reference_accuracy=0.9, gate="strict")
@budget("int4", workload=manual, max_perplexity_ratio=3, max_mean_kl=0.5, max_p99_kl=9)
@budget("int4", workload=essay, min_exact_match_recovery=0.9)
@budget("int4", max_weight_memory_ratio=0.7)
def test_whole(quant): ...

@budget("int4", workload=invoice, max_accuracy_drop=0.05)
@budget("mild", workload=invoice, max_accuracy_drop=0.05)
@budget("int4", workload=sliced, slice="low", max_accuracy_drop=0.05)
@budget("int4", workload=sliced, slice="high", max_accuracy_drop=0.05)
@budget("int4", workload=book, max_perplexity_ratio=1.5)
def test_early(quant): ...
"""


TREE = """
triage = MultipleChoice.from_jsonl("triage.jsonl")

@pytest.mark.quant_budget("int4", workload=triage, max_accuracy_drop=0.5)
@pytest.mark.quant_budget("int4", max_weight_memory_ratio=0.7)
def test_triage(quant): ...

@pytest.mark.quant_budget("int4", max_accuracy_drop=0.9)
def test_body(quant):
    quant.measure(quiz)
"""


@pytest.fixture(scope="module")
def kept():
    """Files of runs that several tests look at, by name."""
    return {}


@pytest.fixture
def run(project, kept, verify):
    """Return `verify` on a run of the suite, which is made once."""
    folder = project.pytester.path
    project.tests(SUITE)
    if not kept:
        project.run("--quant-json=run.json", "-q", "--tb=no")
        kept |= {path.name: path.read_bytes() for path in folder.glob("run.*")}
    for name, content in kept.items():
        (folder / name).write_bytes(content)
    return verify


@pytest.fixture
def verify(project, capsys, monkeypatch):
    """Return the status and the output of `quantcheck verify run.json`."""
    monkeypatch.chdir(project.pytester.path)

    def verify(*arguments):
        capsys.readouterr()
        status = main(["verify", "run.json", *arguments])
        done = capsys.readouterr()
        return status, done.out + done.err

    return verify


def one_score(record):
    """Turn one answer of the quiz on int4."""
    if record["workload"] in {"quiz", "triage"} and record["variant"] == "int4":
        record["scores"][0]["values"][250] = 0.0


def test_every_kind_of_verdict_is_found_again(run, project):
    checks = project.record()["checks"]
    assert {one["stopped_early"] for one in checks} == {True, False}
    assert {one["target"] for one in checks} == {"population", "dataset"}

    status, printed = run("--scores-only")

    assert printed == (
        f"note: {len(checks)} budgets decided again from the scores\nquantcheck verify: verified\n"
    )
    assert status == 0


def test_scores_that_changed_are_found(run):
    altered_examples.rewrite("run.json", one_score, is_signed=True)
    status, printed = run("--scores-only")
    assert status == 1
    assert (
        "verdict: test_suite.py::test_whole[int4]: max_accuracy_drop on quiz: value 0.2 in the "
        "record, 0.201 from the scores\n"
    ) in printed
    assert "records:" not in printed


def test_records_that_are_not_the_runs_own_are_found(run):
    altered_examples.rewrite("run.json", one_score, is_signed=False)

    status, printed = run("--scores-only")

    assert status == 1
    assert "records: run.examples.jsonl.gz: its sha256 is " in printed
    assert "on quiz: no scores called " in printed
    assert "a line was changed or removed" in printed


def test_a_record_that_says_something_else_is_found(run, project):
    found = project.record()
    check = next(one for one in found["checks"] if one["keyword"] == "max_flip_rate")
    check |= {"outcome": "fail", "reason": "shown_over", "alpha_fail": 0.04}
    (project.pytester.path / "run.json").write_text(json.dumps(found), encoding="utf-8")

    status, printed = run("--scores-only")

    assert status == 1
    place = "verdict: test_suite.py::test_whole[int4]: max_flip_rate on quiz: "
    assert f"{place}outcome fail in the record, pass from the scores\n" in printed
    assert f"{place}error rates 0.05 and 0.04 in the record" in printed


@pytest.mark.parametrize(
    ("kept", "found", "is_same"),
    [(1e-9, 4e-7, False), (0.25, 0.2500001, True), (0.25, 0.2501, False), (0.0, 1e-13, True),
     (None, None, True), (None, 0.0, False)],
)  # fmt: skip
def test_figures_are_compared_by_their_own_size(kept, found, is_same):
    assert _is_close(kept, found, 1e-6) is is_same


def test_whatever_changed_in_the_tree_is_found_and_named(project, verify):
    folder = project.pytester.path
    lines = [
        json.dumps({"context": f"question {i}:", "choices": [" right", " wrong"], "answer": 0})
        for i in range(300)
    ]
    (folder / "triage.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (folder / "model/config.json").write_text("{}", encoding="utf-8")
    (folder / "model/model.safetensors").write_bytes(bytes(2**22))
    project.tests(TREE)
    project.run("--quant-json=run.json", "--quant-seed=3", "-k", "test_", "-q", "--tb=no")

    status, printed = verify()

    assert printed == (
        "note: 3 budgets decided again from the scores\n"
        "note: quiz is measured in a test's body: its examples not compared\n"
        "quantcheck verify: verified\n"
    )
    assert status == 0

    with (folder / "model/model.safetensors").open("r+b") as file:
        file.seek(2**21)
        file.write(b"\1")
    lines[7] = lines[7].replace("question", "query")
    (folder / "triage.jsonl").write_text("\n".join(lines), encoding="utf-8")
    suite = folder / "test_suite.py"
    suite.write_text(suite.read_text().replace("drop=0.5", "drop=0.6"), encoding="utf-8")
    altered_examples.rewrite("run.json", one_score, is_signed=True)

    status, printed = verify()

    assert status == 1
    line = next(i for i, text in enumerate(suite.read_text().splitlines(), 1) if "0.6" in text)
    assert printed.splitlines()[:-3] == [
        *[text for text in printed.splitlines() if text.startswith("verdict: test_suite.py::")],
        "budget: test_suite.py::test_triage[int4]: max_accuracy_drop on triage: limit was 0.5 when "
        f"it was decided, it is 0.6 at test_suite.py:{line}",
        "examples: triage: its examples, or how they are scored, are not those of the run (300 "
        "now)",
        "model: model: model.safetensors is not the file that was measured",
    ]
    assert "max_accuracy_drop on triage: value " in printed


def test_a_tree_that_cannot_be_collected_is_no_difference(run, project):
    (project.pytester.path / "test_suite.py").write_text("import missing\n", encoding="utf-8")

    status, printed = run()

    assert status == 2
    assert "pytest cannot collect the tests of the run, exit status 2" in printed
    assert "No module named 'missing'" in printed


def test_a_test_file_that_is_gone_is_a_difference(run, project):
    (project.pytester.path / "test_suite.py").unlink()

    status, printed = run()

    assert status == 1
    assert "tests: test_suite.py is gone\n" in printed

"""What a run decided, compared with what tests declare."""

from dataclasses import replace
from pathlib import Path

import known_records as known
import pytest

from pytest_quantcheck.cli.tree import compare, root_of
from pytest_quantcheck.core.declared import DeclaredBudget, DeclaredModel, DeclaredTree
from pytest_quantcheck.core.supplements import SourceRecord
from pytest_quantcheck.errors import UsageError

MODEL = SourceRecord(name="model", commit=None, files={"config.json": "a", "w.safetensors": "b"})
HUB = SourceRecord(name="variant awq", commit="c0ffee", files={})
BUDGET = DeclaredBudget(
    nodeid=known.CHECK.nodeid,
    path="test_a.py",
    line=12,
    variant="int4",
    workload="triage",
    fingerprint=known.CHECK.fingerprint,
    n=1200,
    error="",
    slice=None,
    keyword="max_accuracy_drop",
    limit=0.03,
    gate="regression",
    target="population",
    waive_until=None,
    reason="",
)


@pytest.fixture
def run():
    environment = replace(known.ENVIRONMENT, sources=[MODEL, HUB])
    return replace(known.run(known.CHECK), environments=[environment])


def tree(*budgets, sources=(MODEL, HUB), error="", alpha=0.05):
    model = DeclaredModel(model="models/helpdesk", sources=[*sources], error=error)
    return DeclaredTree(alpha=alpha, budgets=[*budgets], models=[model])


def test_equal_trees_differ_in_nothing(run):
    found = compare(run, tree(BUDGET))

    assert (found.findings, found.said) == ([], [])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"limit": 0.05}, "limit was 0.03 when it was decided, it is 0.05 at test_a.py:12"),
        ({"gate": "strict"}, "gate was regression when it was decided, it is strict at"),
        ({"target": "dataset"}, "target was population when it was decided, it is dataset at"),
        ({"waive_until": "2027-03-31"}, "waive_until was none when it was decided, it is 2027-"),
        ({"keyword": "max_flip_rate"}, "max_accuracy_drop on triage was decided, and no marker"),
        ({"slice": "low"}, "max_accuracy_drop on triage was decided, and no marker states it"),
        ({"nodeid": "test_b"}, "tests: test_a.py::test_triage[int4] is gone"),
    ],
)
def test_a_budget_that_changed_is_named(run, change, said):
    found = compare(run, tree(replace(BUDGET, **change)))

    assert said in found.findings[0]


def test_a_budget_that_was_not_decided_is_named(run):
    more = replace(BUDGET, keyword="max_flip_rate", limit=0.1)
    other = replace(BUDGET, nodeid="test_b")

    found = compare(run, tree(BUDGET, more, other))

    assert found.findings == [
        "budget: max_flip_rate=0.1 of test_a.py::test_triage[int4] is stated at test_a.py:12, and "
        "the run did not decide it"
    ]
    assert found.said == ["tests of the same files that the run did not decide: 1"]


def test_of_workloads_with_one_name_each_finds_its_own(run):
    other = replace(known.CHECK, fingerprint="e" * 64)
    run = replace(run, checks=[known.CHECK, other])

    found = compare(run, tree(replace(BUDGET, fingerprint="e" * 64), BUDGET))

    assert found.findings == []


def test_examples_are_compared_where_they_are_known(run):
    changed = replace(BUDGET, fingerprint="0" * 64, n=1199)
    assert compare(run, tree(changed)).findings == [
        "examples: triage: its examples, or how they are scored, are not those of the run (1,199 "
        "now)"
    ]
    in_body = replace(BUDGET, workload=None, fingerprint="", n=0)
    assert compare(run, tree(in_body)).said == [
        "triage is measured in a test's body: its examples not compared"
    ]
    with pytest.raises(UsageError, match=r"triage cannot be read: gone\.jsonl"):
        compare(run, tree(replace(BUDGET, fingerprint="", error="gone.jsonl")))


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        ((replace(MODEL, files={"config.json": "a", "w.safetensors": "x"}), HUB),
         "models/helpdesk: w.safetensors is not the file that was measured"),
        ((replace(MODEL, files={"config.json": "a"}), HUB),
         "models/helpdesk: w.safetensors is gone"),
        ((replace(MODEL, files={**MODEL.files, "added.json": "x"}), HUB),
         "models/helpdesk: added.json is new"),
        ((MODEL, replace(HUB, commit="decade")),
         "models/helpdesk (variant awq): commit c0ffee was measured, it is now decade"),
        ((MODEL,), "models/helpdesk (variant awq): the tests do not name it any more"),
    ],
)  # fmt: skip
def test_files_that_changed_are_named(run, sources, said):
    assert compare(run, tree(BUDGET, sources=sources)).findings == [f"model: {said}"]


def test_what_cannot_be_compared_is_said(run):
    unknown = replace(run, environments=[known.ENVIRONMENT])
    assert compare(unknown, tree(BUDGET)).said == [
        "the run does not say what models/helpdesk is made of"
    ]
    assert compare(run, replace(tree(BUDGET), models=[])).said == [
        "models/helpdesk is named by a fixture: its files not compared"
    ]
    with pytest.raises(UsageError, match="its files cannot be read: denied"):
        compare(run, tree(BUDGET, error="denied"))


def test_another_alpha_is_a_difference(run):
    assert compare(run, tree(BUDGET, alpha=0.1)).findings == [
        "settings: alpha was 0.05 in the run, it is 0.1"
    ]


def test_the_root_is_here_or_the_nearest_folder_above_the_run(run, tmp_path, monkeypatch):
    path = run.checks[0].path
    suite = tmp_path / "suite"
    file = suite / "reports" / "run.json"
    (suite / path).parent.mkdir(parents=True)
    (suite / path).touch()
    monkeypatch.chdir(tmp_path)

    assert root_of(run, file) == suite
    assert root_of(run, tmp_path / "elsewhere" / "run.json") == Path()
    monkeypatch.chdir(suite)
    assert root_of(run, file) == Path()

"""A second run reads what the reference scored in the first."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_quantcheck.core.protocols import BackendSpec
from pytest_quantcheck.core.variant import Variant
from pytest_quantcheck.measure.device import DeviceInfo
from pytest_quantcheck.measure.protocols import ModelSource, Weights
from pytest_quantcheck.plugin.settings import read_settings
from pytest_quantcheck.plugin.storing import Shelves

CONFTEST = """\
import pytest
import quantcheck_fake

def pytest_quantcheck_backends():
    return quantcheck_fake.VERSIONED
"""
SUITE = """
small = [MultipleChoice.from_examples(
    rows(12, context=lambda i: f"{name} {i}:", choices=[" right", " wrong"], answer=0), name=name)
    for name in ("one", "two")]

@pytest.mark.quant_budget("int4", workload=small[0], min_accuracy=0.5, target="dataset")
def test_one(quant): ...

@pytest.mark.quant_budget("int4", "int8", max_weight_memory_ratio=0.6)
def test_both(quant):
    for workload in small:
        quant.measure(workload)
"""
BROKEN = """
absent = MultipleChoice.from_jsonl("absent.jsonl")

@pytest.mark.quant_budget("int4", max_weight_memory_ratio=0.6)
def test_absent(quant):
    quant.measure(absent)

@pytest.mark.quant_budget("int4", max_weight_memory_ratio=0.6)
def test_absent_too(quant):
    quant.measure(absent)
"""
LINE = "reference scores of 2 workloads from the store, since 2*"
REFERENCE = Variant(name="fp16", precision="fp16", backend="fake")
WEIGHTS = Weights(stored_bytes=1, quantized_fraction=0.0, left=(), digests=())
_OF_TIME = {"seconds", "measured_at", "n_from_store"}


@pytest.fixture(autouse=True)
def log(tmp_path, monkeypatch):
    """The file in which the fake backend says what it loads, in whatever process."""
    path = tmp_path / "loads.log"
    monkeypatch.setenv("QUANTCHECK_FAKE_LOG", str(path))
    return path


@pytest.fixture
def stored(project):
    """A project whose backend has a version."""
    (project.pytester.path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    project.tests(SUITE)
    return project


def run(project, *args):
    """Return the run's lines and record, and the variants it loaded."""
    log = Path(os.environ["QUANTCHECK_FAKE_LOG"])
    log.write_text("", encoding="utf-8")
    result = project.run("--quant-json=run.json", *args)
    lines = log.read_text(encoding="utf-8").splitlines()
    loads = [line.removeprefix("load ") for line in lines if line.startswith("load ")]
    return result, project.record(), loads


def verdicts(record):
    """Return all of a record that does not depend on when, or in which order, it was measured."""
    measurements = [
        {name: value for name, value in one.items() if name not in _OF_TIME}
        for one in record["measurements"]
    ]
    found = (*record["checks"], *measurements, *record["environments"])
    return sorted(json.dumps(one, sort_keys=True) for one in found)


def test_the_second_run_never_loads_the_reference(stored):
    first, cold, loads = run(stored)
    assert sorted(loads) == ["fp16", "int4", "int8"]
    first.stdout.no_fnmatch_line("*from the store*")
    second, warm, loads = run(stored)
    assert sorted(loads) == ["int4", "int8"]
    second.stdout.fnmatch_lines([f" {LINE}"])
    assert verdicts(warm) == verdicts(cold)
    assert all(one["n_from_store"] == 12 * one["is_reference"] for one in warm["measurements"])
    assert warm["warnings"] == cold["warnings"] == []


def test_a_workload_is_scored_once_and_errors_belong_to_who_asks(stored, log):
    stored.tests(SUITE + BROKEN)
    for references in (2, 0):
        result, record, _ = run(stored)
        scored = [line for line in log.read_text(encoding="utf-8").splitlines() if "score" in line]
        assert len(set(scored)) == len(scored) == 4 + references
        assert {check["nodeid"].partition("::")[2] for check in record["checks"]} == {
            "test_one[int4]", "test_both[int4]", "test_both[int8]"
        }  # fmt: skip
        for name in ("test_absent", "test_absent_too"):
            result.stdout.fnmatch_lines([f"* {name}[[]int4[]] *", "*absent.jsonl*"])


def test_two_workers_share_the_store(stored, log):
    first, cold, _ = run(stored, "-n2")
    asked = [line for line in log.read_text(encoding="utf-8").splitlines() if "score fp16" in line]
    assert len(asked) == len(set(asked)) == 2
    second, warm, loads = run(stored)
    first.stdout.no_fnmatch_line("*from the store*")
    second.stdout.fnmatch_lines([f" {LINE}"])
    assert "fp16" not in loads
    assert verdicts(warm) == verdicts(cold)


def test_what_cannot_be_used_is_measured_again_and_said_once(stored, monkeypatch):
    _, cold, _ = run(stored)
    folder = stored.pytester.path / ".pytest_cache" / "d" / "quantcheck"
    for path in folder.glob("*.entry"):
        path.write_bytes(path.read_bytes()[:-65])
    result, record, loads = run(stored)
    assert "fp16" in loads
    assert verdicts(record) == verdicts(cold)
    (damaged,) = record["warnings"]
    assert "held damaged entries" in damaged
    result.stdout.fnmatch_lines([f" warning: {damaged}"])
    monkeypatch.setattr("platform.python_version_tuple", lambda: ("3", "99", "0"))
    _, record, loads = run(stored)
    assert "fp16" in loads
    (elsewhere,) = record["warnings"]
    assert "here 3.99: measured again" in elsewhere


def test_collecting_and_planning_write_nothing(stored):
    stored.run("--collect-only")
    stored.run("--quant-plan")
    assert not (stored.pytester.path / ".pytest_cache" / "d").exists()


@pytest.fixture
def shelves(stored):
    """A function that returns what a run with some arguments keeps results with."""

    def make(*args):
        config = stored.pytester.parseconfigure("--import-mode=prepend", *args)
        backends = {"fake": BackendSpec(name="fake", target="fake:Fake", version="1")}
        device = DeviceInfo(device="cpu", name="a CPU")
        return Shelves(config, read_settings(config), backends=backends, device=device)

    return make


def archive(shelves, folder):
    return shelves.archive(ModelSource(model=str(folder), device="cpu"))


def test_the_store_is_where_pytest_clears_its_cache(shelves, stored):
    folder = stored.pytester.path
    assert archive(shelves(), folder)
    kept = folder / ".pytest_cache" / "d" / "quantcheck"
    (kept / "one.entry").write_text("old", encoding="utf-8")
    shelves("--cache-clear")
    assert list(kept.iterdir()) == []


def test_without_a_place_nothing_is_kept(shelves, stored):
    assert archive(shelves("--quant-no-store"), stored.pytester.path) is None
    assert archive(shelves("-p", "no:cacheprovider"), stored.pytester.path) is None
    assert not (stored.pytester.path / ".pytest_cache" / "d").exists()
    (stored.pytester.path / ".pytest_cache").mkdir(exist_ok=True)
    (stored.pytester.path / ".pytest_cache" / "d").write_text("no folder", encoding="utf-8")
    assert archive(shelves(), stored.pytester.path) is None


@pytest.mark.parametrize("option", ["--quant-update-reference", "--quant-noise-floor"])
def test_what_is_asked_anew_is_not_read(shelves, stored, option):
    def kept(run):
        return run.weights(REFERENCE, read=lambda: replace(WEIGHTS, revision=option))

    folder = stored.pytester.path / "model"
    first = archive(shelves(), folder)
    assert first.weights(REFERENCE, read=lambda: WEIGHTS) == WEIGHTS
    assert kept(archive(shelves(), folder)) == WEIGHTS
    assert kept(archive(shelves(option), folder)).revision == option
    assert kept(archive(shelves(), folder)).revision == option


def test_a_variant_of_an_unknown_backend_is_not_kept(shelves, stored):
    other = replace(REFERENCE, backend="elsewhere")
    kept = archive(shelves(), stored.pytester.path)
    assert kept.weights(other, read=lambda: WEIGHTS) is WEIGHTS
    assert not list((stored.pytester.path / ".pytest_cache" / "d" / "quantcheck").iterdir())


def settings(stored, *args):
    return read_settings(stored.pytester.parseconfigure("--import-mode=prepend", *args))


def test_folders_begin_where_they_are_written(stored, monkeypatch):
    root = stored.pytester.path
    stored.settings(ini='quant_store = "kept"')
    (root / "deep").mkdir()
    monkeypatch.chdir(root / "deep")
    rooted = f"--rootdir={root}", f"-c{root / 'pyproject.toml'}"
    assert settings(stored, *rooted).store_folder == root / "kept"
    assert settings(stored, *rooted, "--quant-store=mine").store_folder == root / "deep" / "mine"


def test_the_command_line_wins_over_the_ini_file(stored):
    stored.settings(ini="quant_no_store = true")
    assert not settings(stored).keeps_reference
    assert settings(stored, "--quant-store=kept").keeps_reference
    stored.settings(ini='quant_store = "kept"')
    assert not settings(stored, "--quant-no-store").keeps_reference


@pytest.mark.parametrize(
    ("ini", "args", "found"),
    [
        ("", ("--quant-store=a", "--quant-no-store"), "give one of them"),
        ("quant_no_store = true", ("--quant-update-reference",), "quant_no_store is on; drop it"),
        ("", ("--quant-update-reference", "-p", "no:cacheprovider"), "pytest has no cache here"),
        ('quant_store = "pyproject.toml"', (), "expected a folder, or a place for one"),
        ('quant_store = "pyproject.toml/deeper"', (), "expected a folder, or a place for one"),
    ],
)
def test_settings_that_contradict_are_refused(stored, ini, args, found):
    stored.settings(ini=ini)
    with pytest.raises(pytest.UsageError, match=re.escape(found)):
        stored.pytester.parseconfigure("--import-mode=prepend", *args)

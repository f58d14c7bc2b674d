"""The files for CI systems parse, and every command in them is one that works on the example."""

from __future__ import annotations

import re
import shlex
import subprocess
from importlib import import_module
from itertools import chain
from pathlib import Path

import pytest
import yaml
from shown import ROOT, example

from pytest_quantcheck.cli.main import _parser

# pytest run inside pytest forgets what it imported: what is imported here stays.
for name in ("plan", "session"):
    import_module(f"pytest_quantcheck.plugin.{name}")

PAGE = ROOT / "docs" / "how-to" / "ci.md"
YAML = re.compile(r"```yaml\n(.*?)```", re.DOTALL)
PAGES = sorted(path for path in (ROOT / "docs").rglob("*.md") if YAML.search(path.read_text()))
GITHUB, GITHUB_CPU, GITLAB, GITLAB_CPU = map(yaml.safe_load, YAML.findall(PAGE.read_text()))
WRITTEN = {
    "--quant-json": {"quality.json", "quality.jsonl", "quality.examples.jsonl.gz"},
    "--quant-html": {"quality.html"},
    "--junitxml": {"quality.xml"},
}


def lines(job):
    """Return the shell lines of a job of either system."""
    steps = [step["run"] for step in job.get("steps", ()) if "run" in step]
    texts = [*steps, *job.get("before_script", ()), *job.get("script", ())]
    return [line for text in texts for line in text.splitlines()]


def jobs(document):
    """Return the jobs of a file of either system."""
    return document.get("jobs") or {
        name: job for name, job in document.items() if isinstance(job, dict)
    }


ALL = [
    job for document in (GITHUB, GITHUB_CPU, GITLAB, GITLAB_CPU) for job in jobs(document).values()
]
COMMANDS = sorted({line for job in ALL for line in lines(job)})


def filled_in(command):
    """Return the arguments of a command, its variables replaced by what they hold."""
    return shlex.split(re.split(">>|\\|\\|", command)[0].replace("$GATE", "strict"))


def kept(job):
    """Return the files that a job keeps."""
    uploads = [step["with"]["path"].split() for step in job.get("steps", ())
               if step.get("uses", "").startswith("actions/upload-artifact")]  # fmt: skip
    found = job.get("artifacts", {})
    return {*chain(*uploads), *found.get("paths", ()), *found.get("reports", {}).values()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_parses(page):
    for text in YAML.findall(page.read_text(encoding="utf-8")):
        assert isinstance(yaml.safe_load(text), dict | list)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return example(tmp_path_factory.mktemp("ci"), is_tutorial=False)


@pytest.mark.parametrize("command", [one for one in COMMANDS if one.startswith("pytest")])
def test_every_pytest_command_is_taken(command, project, pytester, monkeypatch):
    monkeypatch.chdir(project)
    arguments = [
        one.replace("/var/cache", "cache") for one in filled_in(command) if one != "--quant-plan"
    ]

    result = pytester.runpytest_inprocess(
        *arguments[1:], "--collect-only", "-q", "tests/test_helpdesk.py",
        "-p", "no:cacheprovider", "-p", "no:randomly",
    )  # fmt: skip

    assert result.ret == 0
    result.stdout.fnmatch_lines("tests/test_helpdesk.py::test_prices[[]int4[]]")


@pytest.mark.parametrize("command", [one for one in COMMANDS if one.startswith("quantcheck")])
def test_every_quantcheck_command_is_taken(command):
    parsed = _parser().parse_args(filled_in(command)[1:])

    if hasattr(parsed, "run"):
        assert parsed.run in {Path("quality.json"), Path("quality/release.json")}


@pytest.mark.parametrize("job", ALL, ids=lambda job: lines(job)[-1][:30] if lines(job) else "-")
def test_a_job_keeps_what_it_writes(job):
    written = {
        name
        for line in lines(job)
        for option, names in WRITTEN.items()
        if f"{option}=quality." in line
        for name in names
    }
    written |= {name for line in lines(job) for name in re.findall(r" -o (\S+)", line)}

    assert kept(job) <= written
    assert written - kept(job) <= {"quality.jsonl"}


@pytest.mark.parametrize("job", [GITLAB["quantization"], GITLAB_CPU["measure"]], ids=["gpu", "cpu"])
def test_a_job_that_reports_after_pytest_ends_as_pytest_did(job, tmp_path):
    script = "\n".join(job["script"])
    fakes = 'set -e; pip() { :; }; quantcheck() { :; }; pytest() { return "$RED"; };'

    for red in (0, 1, 4):
        done = subprocess.run(
            ["/bin/sh", "-c", f"{fakes}\n{script}"],
            env={"RED": str(red)},
            cwd=tmp_path,
            check=False,
        )
        assert done.returncode == red


def test_releases_take_the_strict_gate_and_all_else_the_usual_one():
    gate = GITHUB["jobs"]["quantization"]["env"]["GATE"]
    branches = GITHUB[True]["push"]["branches"]  # YAML 1.1 reads the key `on` as true

    assert re.findall(r"'([^']+)'", gate) == ["refs/heads/release/", "strict", "regression"]
    assert "release/**" in branches
    job = GITLAB["quantization"]
    assert job["variables"]["GATE"] == "regression"
    assert job["rules"][1] == {
        "if": r"$CI_COMMIT_BRANCH =~ /^release\//",
        "variables": {"GATE": "strict"},
    }


def test_kept_folders_outlive_the_job():
    for job in (GITLAB["quantization"], GITLAB_CPU["measure"]):
        assert job["cache"]["paths"] == [".quantcheck"]
        assert "--quant-store=.quantcheck/reference" in "".join(lines(job))
        assert job["variables"]["QUANTCHECK_CACHE"] == "$CI_PROJECT_DIR/.quantcheck/weights"
    restore, save = (
        step
        for step in GITHUB_CPU["jobs"]["measure"]["steps"]
        if step.get("uses", "").startswith("actions/cache/")
    )
    assert save["if"] == "always()"
    assert restore["with"] == {**save["with"], "restore-keys": "quantcheck-"}
    assert save["with"]["path"] == ".quantcheck"


def test_the_annotation_shown_is_at_the_line_of_its_test():
    found = re.search(
        r"::error file=(\S+),line=(\d+),title=quantcheck FAIL (\w+)\[", PAGE.read_text()
    )
    source = (ROOT / "example_project" / found[1]).read_text(encoding="utf-8").splitlines()

    following = source[int(found[2]) - 1 :]
    assert following[0].startswith("@pytest.mark.quant_budget")
    assert next(line for line in following if line.startswith("def ")).startswith(
        f"def {found[3]}("
    )
    assert not source[int(found[2]) - 2].startswith("@")

"""What the documents show is what the code does."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_quantcheck.core.grammar import parse_limit
from pytest_quantcheck.core.limit import Statistic
from pytest_quantcheck.plugin import FLAGS, OPTIONS
from pytest_quantcheck.report import wording

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
README = (ROOT / "README.md").read_text(encoding="utf-8")
REFERENCE = (ROOT / "docs" / "reference" / "index.md").read_text(encoding="utf-8")
TABLE_ROW = re.compile(
    r"^ (?P<workload>\w+(?:\[\w+\])?) +(?P<variant>int\d \([\w.]+\)) +"
    r"(?P<metric>(?:reference )?\w+(?: flips)?) .*\] +"
    r"(?P<budget>[<>]= \S+(?: %| pp)?) +(?P<n>[\d,]+) +(?P<verdict>[A-Z]+)",
    re.MULTILINE,
)
ESTIMATE = re.compile(r"(-?[\d.]+)(?: %| pp)? \[(-?[\d.]+), (-?[\d.]+)\]")


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_blocks_are_python(page):
    assert all(ast.parse(block) for block in blocks(page, "python"))


def test_the_readme_shows_the_example_as_it_is():
    (shown,) = blocks(ROOT / "README.md", "python")

    assert shown in (ROOT / "example_project/tests/test_helpdesk.py").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The example project, run as a user runs it, on the CPU."""
    path = tmp_path_factory.mktemp("example") / "run.json"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly",
         "--color=no", "--quant-device=cpu", f"--quant-json={path}"],
        cwd=ROOT / "example_project", env=os.environ | {"COLUMNS": "140"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    return json.loads(path.read_text(encoding="utf-8")), done.stdout


def test_the_summary_in_the_readme_is_what_a_run_prints(run):
    _, printed = run
    kept = [match.groupdict() for match in TABLE_ROW.finditer(README)]

    assert len(kept) == 20
    assert kept == [match.groupdict() for match in TABLE_ROW.finditer(printed)]
    last = "quantcheck: 22 budgets decided: 14 pass, 7 fail, 1 inconclusive"
    assert last in README
    assert last in printed


def test_estimates_of_a_run_lie_in_the_intervals_of_the_readme(run):
    _, printed = run
    kept = [tuple(map(float, found)) for found in ESTIMATE.findall(README)][:20]
    now = [
        tuple(map(float, found))
        for found in ESTIMATE.findall(printed[printed.index(" workload ") :])
    ]

    assert len(kept) == 20
    assert all(low <= value <= high for (value, *_), (_, low, high) in zip(now, kept, strict=False))


def test_the_example_breaks_recall_and_not_perplexity(run):
    record, _ = run
    outcomes = {(c["workload"], c["variant"], c["keyword"]): c["outcome"] for c in record["checks"]}

    assert outcomes["triage", "int8", "max_accuracy_drop"] == "pass"
    assert outcomes["manual", "int4", "max_perplexity_ratio"] == "pass"
    assert outcomes["prices", "int4", "max_exact_match_drop"] == "fail"


def test_the_example_says_what_was_fixed_beforehand(run):
    _, printed = run
    recorded = json.loads((ROOT / "example_project/model/fixed.json").read_text(encoding="utf-8"))

    for part, digest in recorded.items():
        assert f"{part} {digest[:8]}" in printed
    assert "as fixed before the first quantized run" in printed


def test_every_setting_is_in_the_reference():
    for name in (*OPTIONS, *FLAGS, "json"):
        assert f"| `{name}" in REFERENCE


def test_every_limit_in_the_reference_is_one():
    shown = re.findall(r"`((?:max|min)_\w+)=([\d.]+)`", REFERENCE)

    assert len(shown) >= 8
    found = {parse_limit(keyword, float(value)).statistic for keyword, value in shown}
    assert found == set(Statistic)


def test_every_reason_has_words():
    from pytest_quantcheck.core.verdict import Reason

    assert set(wording._REASONS) == {reason.value for reason in Reason}

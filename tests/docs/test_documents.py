"""What the documents show is what the code does."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from pytest_quantcheck.core.grammar import parse_limit
from pytest_quantcheck.core.limit import Statistic
from pytest_quantcheck.plugin.options import FLAGS, OPTIONS
from pytest_quantcheck.report import wording

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
REFERENCE = "".join(
    page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs" / "reference").glob("*.md"))
)


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


def test_the_readme_shows_the_example_as_it_is_and_limits_that_exist():
    shown, serving = blocks(ROOT / "README.md", "python")

    for keyword, value in re.findall(r"\b(max_\w+)=([\d.]+)", serving):
        parse_limit(keyword, float(value))
    assert "def test_serving(quant):" in serving
    tests = (ROOT / "example_project/tests/test_helpdesk.py").read_text(encoding="utf-8")
    assert all(part in tests for part in shown.split("\n\n\n"))


def test_every_setting_is_in_the_reference():
    for name in (*OPTIONS, *FLAGS, "json", "html", "github"):
        assert f"| `{name}" in REFERENCE


def test_every_limit_in_the_reference_is_one():
    shown = re.findall(r"`((?:max|min)_\w+)=([\d.]+)`", REFERENCE)

    assert len(shown) >= 8
    found = {parse_limit(keyword, float(value)).statistic for keyword, value in shown}
    assert found == set(Statistic)


def test_every_reason_has_words():
    from pytest_quantcheck.core.verdict import Reason

    assert set(wording._REASONS) == {reason.value for reason in Reason}

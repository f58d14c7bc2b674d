"""What the how-to pages show is read, run and computed."""

from __future__ import annotations

import re
import runpy

import pytest
from shown import ADDING, FILE, ROOT

from pytest_quantcheck.core.grammar import parse_limit
from pytest_quantcheck.errors import QuantcheckError
from pytest_quantcheck.plugin.declared import read_declared
from pytest_quantcheck.workloads.base import Workload

FOLDER = ROOT / "docs" / "how-to"
MISTAKES = re.findall(
    r"^\| `(\w+\.from_.*?)` \| `(.*)` \|$",
    (FOLDER / "writing-a-workload.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


def blocks(name, language):
    text = (FOLDER / name).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def write_files(name, folder):
    """Write the files of a page."""
    for found in FILE.finditer((FOLDER / name).read_text(encoding="utf-8")):
        path = folder / found["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found["text"], encoding="utf-8")


def run(block, folder):
    """Return the names that a block of Python makes as a test of a project."""
    path = folder / "tests" / "test_shown.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(block, encoding="utf-8")
    return runpy.run_path(str(path))


def test_the_workloads_shown_read_the_files_shown(tmp_path):
    write_files("writing-a-workload.md", tmp_path)

    names = {}
    for block in blocks("writing-a-workload.md", "python"):
        names |= run(block, tmp_path)
    found = {
        name: one.examples() for name, one in sorted(names.items()) if isinstance(one, Workload)
    }

    assert {name: len(examples) for name, examples in found.items()} == {"sums": 2, "tickets": 3}
    first = found["tickets"][0]
    assert (first.id, first.cluster, first.slice) == ("t-17", "c4", "parcel")
    assert first.item.prompt == "Ticket: My parcel is late.\nQueue:"


@pytest.mark.parametrize(("written", "said"), MISTAKES)
def test_a_mistake_is_refused_in_these_words(written, said, tmp_path):
    with pytest.raises(QuantcheckError) as caught:
        run(f"from pytest_quantcheck import *\n{written}.examples()\n", tmp_path)

    assert str(caught.value) == said


def test_mistakes_are_shown():
    assert len(MISTAKES) == 10


@pytest.mark.parametrize("page", sorted(FOLDER.glob("*.md")), ids=lambda page: page.name)
def test_limits_shown_are_limits(page):
    shown = re.findall(r"\b((?:max|min)_[a-z_0-9]+)=(\d[\d.]*)", page.read_text(encoding="utf-8"))

    for keyword, value in shown:
        if keyword != "max_new_tokens":
            parse_limit(keyword, float(value))


def test_variants_shown_can_be_declared(tmp_path):
    (tmp_path / "models" / "helpdesk-v1").mkdir(parents=True)
    project = tmp_path / "pyproject.toml"
    project.write_text("\n".join(blocks("own-variant.md", "toml")), encoding="utf-8")

    declared = read_declared(project).variants

    assert {"int4-attention", "int4-small", "awq", "release-1", "int6", "int3"} <= declared.keys()
    assert declared["release-1"].checkpoint == str(tmp_path / "models" / "helpdesk-v1")


def test_only_files_of_pages_that_add_some_stand_beside_each_other():
    paths = [found["path"] for name in ADDING for found in FILE.finditer((ROOT / name).read_text())]

    shared = {path for path in paths if paths.count(path) > 1}
    assert shared == {"pyproject.toml"}


def test_errors_quoted_are_in_the_package():
    text = (FOLDER / "reading-a-failure.md").read_text(encoding="utf-8")
    table = text[text.index("| it says |") :].splitlines()[2:]
    quoted = [line.split("`")[1] for line in table[: table.index("")]]
    sources = "".join(
        re.sub(r'"\s*\n\s*f?"', "", path.read_text(encoding="utf-8"))
        for path in (ROOT / "pytest_quantcheck").rglob("*.py")
    )

    assert len(quoted) == 5
    assert [one for one in quoted if one not in sources] == []

"""What the how-to pages show is read, run and computed."""

from __future__ import annotations

import re
import runpy

import pytest
from shown import FILE, ROOT

from pytest_quantcheck.errors import QuantcheckError
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

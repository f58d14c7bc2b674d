"""The examples in docstrings give what they show."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

from pytest_quantcheck import measure

ROOM = Path(measure.__file__).parent
MODULES = [
    ".".join((measure.__name__, *path.relative_to(ROOM).with_suffix("").parts))
    for path in sorted(ROOM.rglob("*.py"))
    if "\n    >>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", MODULES)
def test_docstrings_show_what_happens(name):
    outcome = doctest.testmod(import_module(name))
    assert outcome.attempted > outcome.failed == 0


def test_there_are_examples():
    assert f"{measure.__name__}.parting" in MODULES

"""The rooms of this package say truly what stands where."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_quantcheck import measure
from pytest_quantcheck.measure import backends, engine

NO_MODULES = {"Backend", "Forwards", "Plan", "generate", "quantcheck doctor"}


@pytest.mark.parametrize("room", [measure, engine, backends], ids=lambda room: room.__name__)
def test_the_map_of_a_room_names_all_of_its_modules(room):
    folder = Path(room.__file__).parent
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    modules |= {path.parent.name for path in folder.glob("*/__init__.py")}
    named = re.findall(r"`([\w ]+)`", room.__doc__)
    assert sorted(set(named) - NO_MODULES) == sorted(modules)

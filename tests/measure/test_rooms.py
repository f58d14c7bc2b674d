"""The rooms of this package say truly what stands where."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_quantcheck import measure
from pytest_quantcheck.measure import backends, engine
from pytest_quantcheck.measure.engine import kernels, llm_int8

NO_MODULES = {"Backend", "Forwards", "PackForward", "Plan", "generate", "quantcheck doctor", "tree"}
ROOMS = [measure, engine, kernels, llm_int8, backends]


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.__name__)
def test_the_map_of_a_room_names_all_of_its_modules(room):
    folder = Path(room.__file__).parent
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    modules |= {path.parent.name for path in folder.glob("*/__init__.py")}
    named = re.findall(r"`([\w ]+)`", room.__doc__)
    others = NO_MODULES - modules
    assert sorted(set(named) - others) == sorted(modules)

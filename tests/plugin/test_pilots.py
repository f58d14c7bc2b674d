"""What later runs know of earlier ones."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from known_records import CHECK

from pytest_quantcheck.core.budget import Budget, Location
from pytest_quantcheck.core.grammar import parse_limit
from pytest_quantcheck.core.plain import to_builtins
from pytest_quantcheck.plugin.pilots import pilot_of, recall
from pytest_quantcheck.workloads.generation import Generation

OLDER = {"nodeid": "of an older version"}
FOUND = [OLDER] + [
    to_builtins(pilot_of(replace(CHECK, workload=name, slice=part, n=n)))
    for name, part, n in (
        ("triage", None, 100), ("invoice", None, 200), ("invoice", "old", 50), ("void", None, 0)
    )
]  # fmt: skip
CONFIG = SimpleNamespace(cache=SimpleNamespace(get=lambda *_: {"test": FOUND}))


@pytest.mark.parametrize(
    ("workload", "part", "n"),
    [("triage", None, 100), ("invoice", None, 200), ("invoice", "old", 50), (None, None, 100),
     ("triage", "old", None), ("void", None, None)],
)  # fmt: skip
def test_of_several_budgets_of_one_test_each_recalls_its_own(workload, part, n):
    budget = Budget(
        variant="int4",
        workload=workload and Generation.from_examples([], name=workload),
        limit=parse_limit(CHECK.keyword, 0.1),
        gate=None,
        location=Location(nodeid="test", path="a.py", line=1),
        slice=part,
    )

    pilot = recall(CONFIG, "test", budget)

    assert (pilot and pilot.n) == n
    assert recall(CONFIG, "another test", budget) is None

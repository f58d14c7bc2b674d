"""What test reports say, gathered where pytest reports."""

from dataclasses import replace
from types import SimpleNamespace

import known_records as known
import pytest

from pytest_quantcheck.core.plain import to_builtins
from pytest_quantcheck.plugin.ledger import Ledger


def report(nodeid, **fields):
    item = known.reported(nodeid).item
    return SimpleNamespace(
        nodeid=nodeid, quantcheck={"place": 0, "item": to_builtins(item)}, **fields
    )


@pytest.mark.parametrize(
    ("workers", "warnings"),
    [
        (("gw0", "gw1"), ["fp16 was loaded by 2 workers"]),
        (("gw0", "gw0"), []),
        ((None, None), []),
    ],
)
def test_a_variant_that_two_workers_loaded_is_said(workers, warnings):
    ledger = Ledger("2026-11-21T10:00:00+00:00")
    for number, worker in enumerate(workers):
        ledger.add(report(f"test_{number}", **({"worker_id": worker} if worker else {})))

    assert ledger.run().warnings == warnings


def test_a_test_that_ran_again_counts_as_it_was_last():
    ledger = Ledger("2026-11-21T10:00:00+00:00")
    first, second = report("test_0"), report("test_0")
    second.quantcheck["item"] = to_builtins(
        replace(known.reported("test_0").item, outcome="fail", checks=[])
    )

    ledger.add(first)
    ledger.add(second)

    assert (ledger.n_reached, ledger.checks) == (1, [])
    assert (ledger.items_with("pass"), ledger.items_with("fail")) == ([], ["test_0"])

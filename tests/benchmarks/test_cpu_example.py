"""The plain loop answers the example's workloads as quantcheck does."""

from __future__ import annotations

from argparse import Namespace

import cpu_example
import pytest
from devices import EXAMPLE, make_workloads

from pytest_quantcheck.measure.backends import BUILTIN_BACKENDS
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.protocols import ModelSource


def test_both_sides_reach_the_same_level_on_every_workload():
    source = ModelSource(model=str(EXAMPLE / "model"), device="cpu")
    pool = Pool(BUILTIN_BACKENDS, source, 0.85)
    plain = cpu_example.Plain(EXAMPLE / "model", batch_size=4)
    arguments = Namespace(limit=6, repeats=1)
    workloads = [one for one in make_workloads() if one.name in {"triage", "orders", "manual"}]
    for workload in workloads:
        row = cpu_example.compare(pool, plain, workload, arguments)
        assert row.examples == 6
        assert row.plain_level == pytest.approx(row.level, rel=1e-4)
    pool.close()
    assert len(workloads) == 3

"""Workloads are measured on as many examples as asked for."""

from __future__ import annotations

import devices


def test_a_runner_measures_a_limited_workload():
    runner = devices.make_runner("cpu", 5)
    triage = next(one for one in devices.make_workloads() if one.name == "triage")
    assert len(runner.course(triage).examples) == 5
    runner.close()

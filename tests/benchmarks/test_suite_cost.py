"""The suite that is timed is one that users could have written."""

from __future__ import annotations

import ast
import json
import tomllib

import suite_cost
from common import plugin
from common.phases import REST, Phases, timed_phases

from pytest_quantcheck.measure.engine import causal
from pytest_quantcheck.measure.pool import Pool


def test_the_suite_has_three_workloads_and_two_variants(tmp_path):
    data, folder = tmp_path / "data", tmp_path / "suite"
    data.mkdir()
    folder.mkdir()
    row = {"id": "a", "context": "one", "choices": [" x", " y"], "gold": 0}
    for name in suite_cost.WORKLOADS:
        (data / f"{name}.jsonl").write_text(f"{json.dumps(row)}\n" * 3, encoding="utf-8")

    suite_cost.write_suite(folder, tmp_path / "model", data, 2)

    tree = ast.parse((folder / "test_suite.py").read_text(encoding="utf-8"))
    tests = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert tests == [f"test_{name}" for name in suite_cost.WORKLOADS]
    settings = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["tool"]["pytest"]["ini_options"]["quant_variants"] == ["int8", "nf4"]
    copied = (folder / "boolq.jsonl").read_text(encoding="utf-8")
    assert [json.loads(line) for line in copied.splitlines()] == [row, row]


def test_the_table_says_how_many_verdicts_agree(capsys):
    cold = {"seconds": 4.0, "verdicts": {"int8 a": "PASS", "nf4 a": "FAIL"}}
    early = {"seconds": 1.0, "verdicts": {"int8 a": "PASS", "nf4 a": "INCONCLUSIVE"}}
    phases = {"harness": {"seconds": 20.0}, "cold": cold, "warm early": early}
    suite_cost.show({"phases": phases})
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == ["| cold | 4.00 | 5.0 | 2 of 2 |", "| warm early | 1.00 | 20.0 | 1 of 2 |"]


def test_a_second_table_says_where_the_seconds_went(capsys):
    phases = {
        "harness": {"seconds": 20.0},
        "cold": {"seconds": 4.0, "by_phase": {"loading": 1.5, "rest": 2.5}},
        "warm": {"seconds": 3.0, "by_phase": {"loading": 1.0, "rest": 2.0}},
    }
    suite_cost.show({"phases": phases})
    lines = capsys.readouterr().out.splitlines()
    assert lines[-4:] == [
        "| seconds | cold | warm |",
        "| --- | --- | --- |",
        "| loading | 1.50 | 1.00 |",
        "| rest | 2.50 | 2.00 |",
    ]


def test_each_second_counts_in_the_innermost_phase():
    now = iter([0.0, 1.0, 3.0, 6.0, 10.0, 15.0])
    phases = Phases(clock=lambda: next(now))
    with phases.running("loading"), phases.running("deciding"):
        pass
    assert phases.stop() == {
        **dict.fromkeys(phases.seconds, 0.0),
        REST: 1.0 + 5.0,
        "loading": 2.0 + 4.0,
        "deciding": 3.0,
    }


def test_nothing_stays_timed():
    before = Pool._load, Pool.close, causal.choose_plan
    with timed_phases():
        assert Pool._load is not before[0]
    assert (Pool._load, Pool.close, causal.choose_plan) == before


def test_the_plugin_is_loaded_by_name_where_nothing_announces_it(monkeypatch):
    monkeypatch.setattr(plugin, "entry_points", lambda **_: ())
    assert plugin.plugin_options() == ["-p", "pytest_quantcheck.plugin"]
    monkeypatch.setattr(plugin, "entry_points", lambda **_: ("quantcheck",))
    assert plugin.plugin_options() == []

"""What settings and the plan make of budgets on times."""

import json

import pytest
from timed_suite import SUITE, TABLES, budget

from pytest_quantcheck.core.budget import Budget, Location
from pytest_quantcheck.core.grammar import parse_limit
from pytest_quantcheck.plugin.timing_plan import plan_timing
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.workloads.latency import Latency

USAGE = 4


def test_options_for_examples_do_nothing_to_times(timed):
    timed.tests(
        SUITE + "hasty = Latency("
        "prompt_tokens=4, new_tokens=2, repeats=5000, seconds=1e-6, name='hasty')\n"
        + budget(variant="faster", workload="brief", max_ttft_ratio=0.9)
        + budget(name="test_hasty", workload="hasty", max_ttft_ratio=1.3)
        + budget(name="test_sizes", workload="sizes", slice="batch 4", max_ttft_ratio=1.5)
    )
    timed.settings(ini='quant_target = "dataset"', tables=TABLES)

    result = timed.run("--quant-json=run.json", "--quant-limit=5", "--quant-noise-floor")

    assert result.parseoutcomes() == {"passed": 2, "inconclusive": 1}
    run = timed.record()
    for check in run["checks"]:
        assert (check["target"], check["noise_floor"]) == ("population", None)
        assert check["is_in_family"]
    assert run["checks"][0]["n_planned"] == 60
    found = {(one["workload"], one["slice"]): one for one in run["latencies"]}
    assert [*found] == [
        ("brief", None),
        ("hasty", None),
        ("sizes", "batch 1"),
        ("sizes", "batch 4"),
    ]
    assert found["sizes", "batch 1"]["n"] == 12  # no budget asks more of it
    hasty = found["hasty", None]
    assert hasty["stopped"] == "seconds"  # a time limit ends the timing
    assert hasty["n"] < 12


def test_the_plan_shows_runs_and_what_they_can_show(timed):
    timed.tests(
        SUITE
        + budget(workload="brief", max_ttft_ratio=1.3, max_tpot_p95_ms=60, max_peak_memory_mib=9)
        + budget("quant.measure(brief)", name="test_body", max_e2e_ratio=0.9)
        + budget(name="test_never", workload="brief", max_tpot_p99_ms=60)
    )

    result = timed.run("--quant-plan")

    assert result.ret == USAGE
    lines = [" ".join(line.split()) for line in result.outlines if line.startswith(" ")]
    assert lines[1:] == [
        "brief slower max_ttft_ratio=1.3 60 1.316 1.287 12 assumed",
        "brief slower max_tpot_p95_ms=60 60 - - 59 not planned: depends on the times",
        "brief slower max_peak_memory_mib=9 - - - - exact",
        "(in the test) slower max_e2e_ratio=0.9 - - - - n is known after a run",
        "how long measuring takes is known after a run",
    ]
    result.stdout.fnmatch_lines(["ERROR *max_tpot_p99_ms with 60 runs: 299 are needed*"])
    result.stdout.no_fnmatch_line("*warning*")


def test_the_plan_counts_timing_as_long_as_it_took_last(timed):
    timed.tests(SUITE + budget(workload="brief", max_ttft_ratio=1.5))
    timed.run("--quant-json=run.json")
    (latency,) = timed.record()["latencies"]

    cache = timed.pytester.path / ".pytest_cache/v/quantcheck/pace"
    (pace,) = json.loads(cache.read_text(encoding="utf-8")).values()
    planned = timed.run("--quant-plan").stdout

    assert pace == [latency["seconds"], latency["device_name"]]
    planned.fnmatch_lines([" measuring takes * minutes on * without loading, at the pace it had"])


@pytest.mark.parametrize(
    ("keyword", "value", "family", "expected"),
    [
        ("max_e2e_ratio", 1.1, 1, (True, True, 12)),
        ("max_e2e_ratio", 1.1, 1000, (False, True, 12)),  # 2⁻¹² is more than its share of alpha
        ("max_e2e_ratio", 1.01, 1, (True, True, 59)),  # (2.49 · 0.0307/ln 1.01)²
        ("max_e2e_ratio", 0.9, 1, (True, True, None)),  # not shown where nothing is faster
        ("min_throughput_ratio", 0.9, 1, (True, True, 12)),
        ("min_throughput_ratio", 1.1, 1, (True, True, None)),
    ],
)
def test_pairs_show_ratios_on_either_side_of_one(keyword, value, family, expected):
    limit = parse_limit(keyword, value)
    stated = Budget(
        variant="int4",
        workload=Latency(prompt_tokens=8, new_tokens=2, repeats=12),
        limit=limit,
        gate=None,
        location=Location(nodeid="test_a.py::test_a", path="test_a.py", line=1),
    )

    figures = plan_timing(stated, None, levels(0.05, family)).figures

    sign = 1 if keyword.startswith("max") else -1
    fails = figures.smallest_fail is not None and sign * (figures.smallest_fail - value) > 0
    passes = sign * (value - figures.largest_pass) > 0
    assert (fails, passes, figures.needed_n) == expected

"""What settings and the plan make of budgets on times."""

from timed_suite import SUITE, TABLES, budget

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
    ]
    result.stdout.fnmatch_lines(["ERROR *max_tpot_p99_ms with 60 runs: 299 are needed*"])
    result.stdout.no_fnmatch_line("*warning*")

"""Limits on times, throughput and memory: kept, broken, open and wrong; and what a check holds."""

import pytest
from timed_suite import SUITE, budget

from pytest_quantcheck.core import grammar
from pytest_quantcheck.core.budget import Location
from pytest_quantcheck.core.metric import METRICS
from pytest_quantcheck.core.parse import MarkerArguments, parse_marker
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.workloads.choice import MultipleChoice

TIMES = {"ttft": (26.0, 0.01), "tpot": (13.0, 0.01), "e2e": (78.0, 0.0075)}
"""Median in milliseconds and spread of the variant's times."""
PERCENTILES = {50: 0.0, 90: 1.28, 95: 1.64, 99: 2.33}
"""Each with its distance from the median, in spreads."""


def cases():
    """Return values that keep, break and nearly equal each limit; None where that cannot be."""
    found = {
        "min_throughput_ratio": (0.7, 0.9, 1 / 1.3),
        "max_peak_memory_ratio": (1.4, 1.2, None),
        "max_peak_memory_mib": (140, 120, None),
    }
    for metric, (median, spread) in TIMES.items():
        found[f"max_{metric}_ratio"] = (1.5, 1.1, 1.3)
        for percent, distance in PERCENTILES.items():
            near = median * (1 + distance * spread)
            found[f"max_{metric}_p{percent}_ms"] = (1.1 * median, 0.9 * median, near)
    return found


CASES = cases()


def forms():
    return {
        keyword
        for keyword, form in grammar._grammar().items()
        if form.metric in METRICS and METRICS[form.metric].is_of_serving
    }


def test_no_keyword_of_the_grammar_is_left_out():
    assert set(CASES) == forms()
    assert len(CASES) == 18


def test_each_limit_can_be_kept_broken_and_open(timed):
    expected, source = {}, SUITE
    for keyword, values in CASES.items():
        for outcome, value in zip(("pass", "fail", "inconclusive"), values, strict=True):
            if value is not None:
                name = f"test_{keyword}_{outcome}"
                expected[name] = outcome
                source += budget(
                    name=name, workload="chat" if "p9" in keyword else "brief", **{keyword: value}
                )
    timed.tests(source)

    result = timed.run("--quant-json=run.json", "--tb=no", "-q")

    run = timed.record()
    found = {c["nodeid"].partition("::")[2].partition("[")[0]: c["outcome"] for c in run["checks"]}
    assert found == expected
    outcomes = list(expected.values())
    assert result.parseoutcomes()["failed"] == outcomes.count("fail")
    assert result.parseoutcomes()["inconclusive"] == outcomes.count("inconclusive")
    timed_once = [(one["workload"], one["n"], one["stopped"]) for one in run["latencies"]]
    assert timed_once == [("brief", 60, "repeats"), ("chat", 450, "repeats")]
    assert run["environment"]["checks_collected"] == len(expected) - 4


@pytest.mark.parametrize("keyword", CASES)
def test_each_limit_used_wrongly_says_so(keyword):
    where = Location(nodeid="test_suite.py::test_chat", path="test_suite.py", line=1)
    quiz = MultipleChoice.from_examples([{"context": "a"}], name="quiz")

    def parse(**kwargs):
        marker = MarkerArguments(args=("int8",), kwargs=kwargs)
        return parse_marker(marker, variants=["int8"], defaults=(), where=where)

    for value, message in ((0, "above 0"), (-1, "never negative"), ("60", "a finite number")):
        with pytest.raises(UsageError, match=message):
            parse(**{keyword: value})
    needed = keyword.removeprefix("max_").removeprefix("min_").partition("_")[0]
    with pytest.raises(UsageError, match=f"{keyword} needs {needed}.* but workload quiz measures"):
        parse(**{"workload": quiz, keyword: 2})
    with pytest.raises(UsageError, match="runs are no examples"):
        parse(**{"target": "dataset", keyword: 2})


def test_a_check_holds_what_was_timed(timed):
    timed.tests(SUITE + budget(workload="brief", max_tpot_ratio=1.5, max_ttft_p90_ms=30))

    timed.run("--quant-json=run.json", "--quant-gpu-hour-cost=2.5").assert_outcomes(passed=1)

    run = timed.record()
    ratio, percentile = run["checks"]
    assert (ratio["workload"], ratio["metric"], ratio["n_planned"]) == ("brief", "tpot", 60)
    assert ratio["stopped_early"]
    assert ratio["n"] < percentile["n"] <= 60
    assert 1.28 < ratio["low"] < ratio["value"] < ratio["high"] < 1.32
    assert ratio["reference_level"] == pytest.approx(10, rel=0.01)
    assert ratio["variant_level"] == pytest.approx(13, rel=0.01)
    assert percentile["unit"] == "milliseconds"
    assert percentile["variant_level"] == pytest.approx(26.3, rel=0.01)
    assert percentile["value"] == pytest.approx(26.3, rel=0.01)
    (latency,) = run["latencies"]
    assert latency["fingerprint"] == ratio["fingerprint"] != ""
    assert latency["prompt_fingerprint"] == ratio["prompt_fingerprint"] != ""
    assert latency["runtime"] == "fake eager, not your server"
    assert (latency["prompt_tokens"], latency["new_tokens"], latency["batch_size"]) == (32, 5, 1)
    assert latency["reference"]["memory"]["weight_bytes"] == 2000
    assert latency["variant"]["memory"]["load_seconds"] > 0
    assert latency["variant"]["cost_per_million_tokens"] is None  # an hour of a GPU has the price
    assert run["measurements"] == []

    result = timed.run("--quant-plan")  # from what was found
    line = next(line.split() for line in result.outlines if "max_tpot_ratio" in line)
    assert line[-2:] == ["last", "run"]
    assert 1.5 < float(line[4]) < 1.53


def test_what_is_asked_by_several_markers_is_timed_once(timed):
    timed.tests(
        SUITE
        + budget(name="test_one", workload="brief", max_ttft_ratio=1.5)
        + budget(name="test_two", workload="brief", max_e2e_p90_ms=100, max_peak_memory_ratio=1.4)
        + "import quantcheck_fake\n"
        "def test_served(): assert [name for name, _ in quantcheck_fake.SERVED] == "
        "['fp16', 'tempo-130']\n"
    )

    timed.run("--quant-json=run.json").assert_outcomes(passed=3)
    assert len({check["n"] for check in timed.record()["checks"]}) == 3


def test_early_stops_can_be_switched_off(timed):
    timed.tests(SUITE + budget(workload="brief", max_ttft_ratio=1.5))

    timed.run("--quant-json=run.json", "--quant-sequential=off").assert_outcomes(passed=1)

    (check,) = timed.record()["checks"]
    assert (check["n"], check["n_planned"], check["stopped_early"]) == (60, 60, False)


def test_memory_is_compared_exactly_and_needs_few_runs(timed):
    timed.tests(
        SUITE
        + budget(workload="brief", max_peak_memory_mib=120)
        + budget(name="test_cpu", variant="unmetered", workload="brief", max_peak_memory_mib=140)
    )

    result = timed.run("--quant-json=run.json", "-rs")

    result.assert_outcomes(failed=1, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "FAIL: slower (tempo-130) on brief: peak memory *130.0 MiB*",
            "*max_peak_memory_mib needs a CUDA device: on cpu nobody counts*",
        ]
    )
    run = timed.record()
    assert run["latencies"][0]["n"] == 12
    assert run["environment"]["checks_collected"] == 0
    assert run["checks"][0]["reason"] == "exact"

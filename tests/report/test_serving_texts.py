"""What is said of times, throughput and memory: in tables and in the text of a failure."""

from dataclasses import replace

import pytest
from known_latencies import LATENCY, MEMORY, REFERENCE, VARIANT
from known_records import CHECK, ENVIRONMENT

from pytest_quantcheck.report.failure import render_failure
from pytest_quantcheck.report.table import check_table
from pytest_quantcheck.report.wording import more_examples, toothless

TPOT = replace(
    CHECK,
    workload="serving",
    metric="tpot",
    keyword="max_tpot_ratio",
    statistic="latency_ratio",
    limit=1.2,
    unit="ratio",
    level_unit="milliseconds",
    reference_level=20.0,
    variant_level=26.0,
    value=1.3,
    low=1.287,
    high=1.313,
    p_fail=6.0e-8,
    n=24,
    n_planned=60,
    stopped_early=True,
    counts={},
    mcnemar_p=None,
    method="Wilcoxon signed-rank test of log ratios (Hodges-Lehmann estimate)",
    outcome="fail",
    reason="shown_over",
    needed_n=None,
    fingerprint=LATENCY.fingerprint,
    worst=[],
)
P95 = replace(
    TPOT,
    keyword="max_tpot_p95_ms",
    statistic="latency_quantile",
    limit=25.0,
    unit="milliseconds",
    reference_level=20.6,
    variant_level=26.78,
    value=26.78,
    low=26.5,
    high=27.4,
    n=60,
    stopped_early=False,
    counts={"over": 55},
)
PEAK = replace(
    TPOT,
    metric="peak_memory",
    keyword="max_peak_memory_mib",
    statistic="peak_memory",
    limit=1200.0,
    unit="mebibytes",
    level_unit="bytes",
    reference_level=2_900_000_000.0,
    variant_level=1_450_000_000.0,
    value=1382.8,
    low=1382.8,
    high=1382.8,
    p_fail=None,
    n=0,
    n_planned=None,
    stopped_early=False,
    reason="exact",
)


def text_of(check, timing=LATENCY):
    text = render_failure(check, ENVIRONMENT, reproduce="pytest", timings=[timing])
    return " ".join(text.split())


def test_a_failed_latency_reads_from_the_verdict_down():
    assert render_failure(TPOT, ENVIRONMENT, reproduce="pytest 'x'", timings=[LATENCY]) == (
        "FAIL: int4 (nf4) on serving: TPOT ratio 1.300 [1.287, 1.313] (90 % CI), budget <= 1.2\n"
        "  shown to be over the limit\n"
        "  reference fp16 20.00 ms, variant 26.00 ms (medians), on NVIDIA H100\n"
        "  transformers eager, not your server, on NVIDIA H100: 512 prompt tokens, 64\n"
        "    new, batch 1\n"
        "  medians: TTFT 24.00 -> 30.00 ms, TPOT 20.00 -> 26.00 ms, whole request 1284.00\n"
        "    -> 1668.00 ms, 49.8 -> 38.4 tokens/s\n"
        "  timed in turn, each pair in random order; 1 pair timed again because the\n"
        "    device was throttled (sw_thermal_slowdown); SM clock 1,755 to 1,980 MHz; 41\n"
        "    °C; nobody else used the device\n"
        "  n = 24 pairs; stopped early at 24 of 60\n"
        "  Wilcoxon signed-rank test of log ratios (Hodges-Lehmann estimate), p = 6e-08\n"
        "    against 0.0025 for FAIL\n"
        "  reproduce: pytest 'x'"
    )


def test_a_percentile_says_how_many_runs_were_over_it():
    text = text_of(P95)

    assert "serving: TPOT p95 26.78 ms [26.50, 27.40] (90 % CI), budget <= 25 ms" in text
    assert "reference fp16 20.60 ms, variant 26.78 ms (p95), on" in text
    assert "n = 60 runs, 55 over the limit" in text


def test_a_failed_peak_shows_what_the_memory_is_made_of():
    text = text_of(PEAK)

    assert "on serving: peak memory 1382.8 MiB, budget <= 1200 MiB" in text
    assert "compared exactly" in text
    assert "reference fp16 2.7 GiB, variant 1.4 GiB, on NVIDIA H100" in text
    assert (
        "int4 (nf4): weights 982.3 MiB; peak in prefill 1.4 GiB; peak while generating 1.2 GiB; "
        "KV cache 34.3 MiB"
    ) in text
    assert "tokens/s" not in text
    assert "pairs" not in text


def test_an_unknown_part_of_the_memory_is_left_out():
    unknown = replace(MEMORY, peak_prefill_bytes=None, kv_cache_bytes=None)

    text = text_of(PEAK, replace(LATENCY, variant=replace(VARIANT, memory=unknown)))

    assert "int4 (nf4): weights 2.3 GiB; peak while generating 2.5 GiB reproduce" in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schedule": "loads"}, "loaded in turn, in random order: they do not fit into memory"),
        ({"n_discarded": 2}, "2 pairs timed again because the device was throttled (sw_"),
        ({"throttling": []}, "because the device was throttled; SM clock"),
        ({"sm_clock_mhz": None, "temperature_celsius": None}, "slowdown); nobody else used"),
        ({"n_throttled": 3}, "; 3 of those that count throttled all the same; SM clock"),
        ({"contention": "unknown"}, "; contention: unknown"),
        ({"contention": "pid 4711"}, "; somebody else used the device: pid 4711"),
        (
            {"mode_asked": "compiled", "variant": replace(VARIANT, fallback="no static cache")},
            "int4 (nf4) ran eager, not compiled: no static cache",
        ),
        (
            {"reference": replace(REFERENCE, host_bound_share=0.75)},
            "host-bound: in 75.0 % of the runs of fp16 the host sets the pace, not the device; "
            'mode="compiled" takes most of the host out',
        ),
        ({"reference": replace(REFERENCE, tpot=None)}, "medians: TTFT 24.00 -> 30.00 ms, whole"),
    ],
)
def test_the_conditions_of_the_timing_are_said(changes, said):
    assert said in text_of(TPOT, replace(LATENCY, **changes))
    assert said not in text_of(TPOT)


def test_the_host_is_no_excuse_twice():
    bound = replace(VARIANT, host_bound_share=1.0)
    compiled = replace(LATENCY, mode_asked="compiled", variant=bound)

    text = text_of(TPOT, compiled)

    assert (
        "in 100.0 % of the runs of int4 (nf4) the host sets the pace, not the device timed" in text
    )


@pytest.mark.parametrize(
    ("needed", "stopped", "said"),
    [
        (90, "repeats", "would settle it: ~66 more pairs (80 % chance at this estimate); as many "
                        "take repeats=90 or more"),
        (50, "repeats", "would settle it: ~26 more pairs (80 % chance at this estimate) reproduce"),
        (50, "seconds", "would settle it: ~26 more pairs (80 % chance at this estimate); the time "
                        "limit ended the timing: allow more seconds="),
        (None, "seconds", "would settle it: the time limit ended the timing: allow more seconds="),
    ],
)  # fmt: skip
def test_what_would_settle_it_names_the_setting(needed, stopped, said):
    is_open = replace(
        TPOT,
        outcome="inconclusive",
        reason="not_enough_evidence",
        needed_n=needed,
        stopped_early=False,
    )

    text = text_of(is_open, replace(LATENCY, stopped=stopped))

    assert said in text
    assert "the runs show neither side of the limit" in text


def test_a_timing_of_another_variant_or_batch_says_nothing_of_this_one():
    other = replace(LATENCY, variant=replace(VARIANT, variant_label="int8"))

    assert "transformers" not in text_of(TPOT, other)
    assert "transformers" not in text_of(TPOT, replace(LATENCY, slice="batch 8"))
    assert "transformers" not in text_of(CHECK)


def test_a_row_of_the_table_has_the_units_of_serving():
    rows = [" ".join(line.text.split()) for line in check_table([TPOT, P95, PEAK], width=200)]

    assert "estimate [90 % CI]" in rows[0]
    assert rows[1:] == [
        "serving int4 (nf4) TPOT 20.00 ms 26.00 ms 1.300 [1.287, 1.313] <= 1.2 24 FAIL stopped "
        "early at 24 of 60",
        "serving int4 (nf4) TPOT p95 20.60 ms 26.78 ms 26.78 ms [26.50, 27.40] <= 25 ms 60 FAIL",
        "serving int4 (nf4) peak_memory 2.7 GiB 1.4 GiB 1382.8 MiB <= 1200 MiB - FAIL",
    ]


def test_more_runs_are_asked_for_by_their_name():
    is_open = replace(TPOT, outcome="inconclusive", needed_n=64)

    assert more_examples(is_open) == "~40 more pairs"
    assert more_examples(replace(P95, needed_n=100)) == "~40 more runs"
    weak = replace(TPOT, power=0.1, power_at=1.6)
    assert toothless(weak).endswith("use more repeats, fewer budgets or a looser limit")

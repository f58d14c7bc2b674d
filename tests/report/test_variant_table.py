"""The table of variants: sizes, levels, and what serving took."""

from dataclasses import replace

import pytest
from known_latencies import LATENCY, REFERENCE, VARIANT, ratio
from known_records import MEASURED, run

from pytest_quantcheck.report.variant_table import variant_table

INT4 = replace(
    MEASURED,
    variant="int4",
    variant_label="int4 (nf4)",
    level=0.889,
    weight_bytes=4_000_000_000,
    is_reference=False,
)
MANUAL = replace(
    MEASURED, workload="manual", metric="perplexity", level=8.412, level_unit="perplexity"
)
INT8 = replace(VARIANT, variant="int8", variant_label="int8 (LLM.int8)")


def lines(record, width=200):
    return [line.text for line in variant_table(record, width=width)]


def squeezed(record, width=200):
    return [" ".join(line.split()) for line in lines(record, width)]


def timed(*latencies, measurements=(MEASURED, INT4)):
    return replace(run(measurements=measurements), latencies=list(latencies))


def test_there_is_a_row_for_each_variant_the_largest_first():
    assert squeezed(run(measurements=[INT4, MEASURED, MANUAL])) == [
        "variant weights ratio triage manual PPL",
        "fp16 14.9 GiB 1.00 91.2 % 8.41",
        "int4 (nf4) 3.7 GiB 0.25 88.9 % -",
    ]


def test_workloads_of_one_name_have_a_column_each():
    other = replace(MEASURED, fingerprint="e" * 64, level=0.5)

    header, row = (line.split() for line in lines(run(measurements=[MEASURED, other])))

    assert header == ["variant", "weights", "ratio", "triage", "triage", "(2)"]
    assert row[-4:] == ["91.2", "%", "50.0", "%"]


def test_without_a_reference_there_is_no_ratio():
    shown = squeezed(run(measurements=[replace(MEASURED, is_reference=False)]))

    assert shown[1] == "fp16 14.9 GiB - 91.2 %"


def test_a_run_of_nothing_has_no_table():
    assert lines(run(measurements=())) == []


@pytest.mark.parametrize(("width", "said"), [(200, "(on 352 of 2,400)"), (40, " *")])
def test_a_level_on_a_part_of_the_examples_is_marked_at_any_width(width, said):
    partial = replace(MEASURED, n=352, n_planned=2400)

    shown = lines(run(measurements=[partial]), width)

    assert said in shown[1]
    assert ("on a part of the examples" in shown[-1]) == (width < 100)


def test_what_serving_took_stands_beside_size_and_quality():
    assert squeezed(timed(LATENCY)) == [
        "variant weights ratio triage TTFT TPOT tokens/s tokens/s ratio peak memory",
        "fp16 14.9 GiB 1.00 91.2 % 24.00 ms 20.00 ms 49.8 1.00 2.7 GiB",
        "int4 (nf4) 3.7 GiB 0.25 88.9 % 30.00 ms 26.00 ms 38.4 0.77 1.4 GiB",
        "serving: transformers eager, not your server, on NVIDIA H100; 512 prompt tokens, 64 new, "
        "batch 1; medians",
    ]


def test_without_timing_nothing_is_said_of_serving():
    shown = "\n".join(lines(run(measurements=[MEASURED, INT4])))

    assert not any(word in shown for word in ("TTFT", "tokens/s", "memory", "not your server"))


def test_figures_that_a_device_does_not_tell_have_no_column():
    memory = replace(REFERENCE.memory, peak_prefill_bytes=None, peak_decode_bytes=None)
    on_cpu = replace(
        LATENCY,
        device="cpu",
        device_name="AMD EPYC",
        reference=replace(REFERENCE, memory=memory, tpot=None),
        variant=replace(VARIANT, memory=memory, tpot=None),
    )

    shown = squeezed(timed(on_cpu))

    assert shown[0] == "variant weights ratio triage TTFT tokens/s tokens/s ratio"
    assert "on AMD EPYC (CPU);" in shown[-1]


def test_a_price_gives_a_column_and_is_named():
    priced = replace(
        LATENCY,
        gpu_hour_cost=2.5,
        reference=replace(REFERENCE, cost_per_million_tokens=13.94),
        variant=replace(VARIANT, cost_per_million_tokens=18.08),
    )

    shown = squeezed(timed(priced))

    assert shown[0].endswith("peak memory cost/M tokens")
    assert [row.split()[-1] for row in shown[1:3]] == ["13.9", "18.1"]
    assert shown[3].endswith("; 2.5 an hour")


def test_a_variant_that_was_not_timed_has_no_figures():
    int8 = replace(INT4, variant="int8", variant_label="int8", weight_bytes=8_000_000_000)

    shown = squeezed(timed(LATENCY, measurements=(MEASURED, int8, INT4)))

    assert shown[2] == "int8 7.5 GiB 0.50 88.9 % - - - - -"


def test_a_model_that_was_only_timed_has_its_sizes():
    assert squeezed(timed(LATENCY, measurements=()))[:3] == [
        "variant weights ratio TTFT TPOT tokens/s tokens/s ratio peak memory",
        "fp16 2.3 GiB 1.00 24.00 ms 20.00 ms 49.8 1.00 2.7 GiB",
        "int4 (nf4) 982.3 MiB 0.42 30.00 ms 26.00 ms 38.4 0.77 1.4 GiB",
    ]


def test_each_shape_of_requests_has_a_table_of_its_own():
    eight = replace(LATENCY, slice="batch 8", batch_size=8, variant=INT8)
    one = replace(LATENCY, slice="batch 1")

    shown = squeezed(timed(one, eight))

    assert shown[0] == "variant weights ratio triage"
    assert shown[3].startswith("int8 (LLM.int8) 982.3 MiB")
    assert shown[5] == "serving[batch 1] TTFT TPOT tokens/s tokens/s ratio peak memory"
    assert shown[7].startswith("int4 (nf4) 30.00 ms")
    assert shown[9] == "serving[batch 8] TTFT TPOT tokens/s tokens/s ratio peak memory"
    assert shown[11].startswith("int8 (LLM.int8) 30.00 ms")
    assert ["batch 1; medians" in shown[12], "batch 8; medians" in shown[13]] == [True, True]


def test_the_reference_is_that_of_most_pairs_and_each_ratio_of_its_own():
    fewer = replace(
        LATENCY,
        n=12,
        variant=INT8,
        reference=replace(REFERENCE, tokens_per_second=77),
        throughput_ratio=ratio(0.5),
    )

    shown = squeezed(timed(fewer, LATENCY, measurements=()))

    assert ["49.8 1.00" in shown[1], "38.4 0.50" in shown[2], "38.4 0.77" in shown[3]] == [True] * 3
    assert shown[-1] == (
        "serving: fp16 was timed beside each variant; its row is of the runs beside int4 (nf4), "
        "and each variant's ratio of its own"
    )


def test_what_explains_slow_variants_is_said_once():
    bound = replace(LATENCY, reference=replace(REFERENCE, host_bound_share=0.9))

    shown = lines(timed(bound, replace(bound, variant=INT8)))

    assert sum("medians" in line for line in shown) == 1
    assert shown.count(" serving: fp16 is host-bound: the host sets the pace") == 1


def test_different_modes_are_named():
    mixed = replace(LATENCY, mode_asked="compiled", reference=replace(REFERENCE, mode="compiled"))

    assert squeezed(timed(mixed))[-1].startswith(
        "serving: transformers (fp16 compiled, int4 (nf4) eager), not your server, on NVIDIA H100;"
    )


@pytest.mark.parametrize("width", [80, 60, 40])
def test_a_narrow_terminal_loses_no_column(width):
    others = [replace(MEASURED, workload=name) for name in ("shelf", "prices", "orders", "quotes")]
    record = timed(LATENCY, measurements=(MEASURED, INT4, *others, MANUAL))

    shown, wide = lines(record, width), lines(record)

    assert max(map(len, shown)) <= width
    assert max(map(len, wide)) > 80
    rows = [line for line in shown if line.startswith(" int4")]
    assert " ".join(" ".join(row.split()[2:]) for row in rows) == " ".join(wide[2].split()[2:])

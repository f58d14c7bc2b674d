"""What the record of a timing says: medians, intervals, cost and cautions."""

from dataclasses import replace

import pytest

from pytest_quantcheck import Latency
from pytest_quantcheck.core.latency import LatencySamples, RunTimes, Schedule, Served, Stop
from pytest_quantcheck.core.memory import MemoryUse
from pytest_quantcheck.core.plain import to_builtins
from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.measure.latency.protocols import Shape
from pytest_quantcheck.measure.latency.timed import TimedPair, TimedSide
from pytest_quantcheck.plugin.served import Place, latency_record, levels_of, timing_warnings

PLACE = Place(
    model="m",
    runtime="transformers",
    device="cuda:0",
    device_name="NVIDIA H100",
    reference_label="fp16",
    variant_label="int4 (nf4)",
    gpu_hour_cost=3.6,
    alpha=0.05,
)
MEMORY = MemoryUse(weight_bytes=100, kv_cache_bytes=10, load_seconds=2.0)
EAGER = Served(mode="eager", fallback="")


def run(seconds, new_tokens):
    return RunTimes(
        ttft_seconds=seconds / 4,
        e2e_seconds=seconds,
        device_seconds=None,
        new_tokens=new_tokens,
        batch_size=2,
    )


def timed(n=20, new_tokens=5, **fields):
    """Return pairs in which the variant takes twice as long; the k-th run takes k ms more."""
    runs = tuple(
        run((1 + is_variant) * (1 + k / 1000), new_tokens)
        for k in range(n)
        for is_variant in (0, 1)
    )
    samples = LatencySamples(
        schedule=Schedule.PAIRS,
        blocks=tuple(k for k in range(n) for _ in range(2)),
        is_variant=(False, True) * n,
        runs=runs,
        n_planned=60,
        looks=(12,),
        stopped=Stop.DECIDED,
        seed=0,
        reference=EAGER,
        variant=EAGER,
        **fields,
    )
    sides = [TimedSide(variant=builtin_variant(name), memory=MEMORY) for name in ("fp16", "int4")]
    return TimedPair(
        workload=Latency(prompt_tokens=3, new_tokens=new_tokens, batch_size=2),
        shape=Shape(prompts=((1, 2, 3),) * 2, new_tokens=new_tokens, mode="eager"),
        reference=sides[0],
        variant=sides[1],
        samples=samples,
        measured_at="2026-11-22T10:00:00+00:00",
    )


def test_times_are_medians_with_intervals_in_milliseconds():
    record = latency_record(timed(), PLACE)

    assert record.reference.e2e.median_ms == pytest.approx(1009.5)
    assert record.reference.e2e.p95_ms == pytest.approx(1018)
    assert record.reference.e2e.low_ms < 1009.5 < record.reference.e2e.high_ms
    assert record.variant.tpot.median_ms == pytest.approx(2 * 1009.5 * 0.75 / 4)
    assert record.e2e_ratio.value == pytest.approx(2)
    assert record.throughput_ratio.value == pytest.approx(0.5)
    assert record.runtime == "transformers eager, not your server"
    assert (record.stopped, record.n, record.slice) == ("decided", 20, None)
    to_builtins(record)


def test_a_price_and_the_throughput_give_a_cost():
    record = latency_record(timed(), PLACE)

    # 10 tokens in about a second are 36,000 an hour, of 3.60.
    assert record.reference.cost_per_million_tokens == pytest.approx(100 * 1.0095, rel=1e-3)
    assert record.variant.cost_per_million_tokens == pytest.approx(200 * 1.0095, rel=1e-3)
    free = latency_record(timed(), replace(PLACE, gpu_hour_cost=None))
    assert free.variant.cost_per_million_tokens is None


def test_one_new_token_and_few_runs_leave_gaps():
    record = latency_record(timed(n=3, new_tokens=1), PLACE)

    assert record.reference.tpot is None
    assert record.tpot_ratio is None
    assert (record.reference.ttft.low_ms, record.ttft_ratio.high) == (None, None)
    assert "peak_memory" not in levels_of(timed(), variant=True)


def test_what_disturbed_the_timing_is_a_warning():
    disturbed = timed(contention="pid 7 (python)", throttled=(3,), reasons=("hot",))

    found = list(timing_warnings(latency_record(disturbed, PLACE)))

    assert found == [
        "latency: something else used cuda:0 meanwhile: pid 7 (python)",
        "latency: the device stayed throttled in 1 of 20 blocks (hot); it was not measured at full "
        "speed",
    ]
    assert not list(timing_warnings(latency_record(timed(), PLACE)))

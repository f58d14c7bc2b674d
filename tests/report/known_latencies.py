"""Records of timed workloads with known content."""

from __future__ import annotations

from dataclasses import replace

from pytest_quantcheck.core.memory import MemoryUse
from pytest_quantcheck.core.serving import (
    LatencyRecord,
    RatioRecord,
    ServingRecord,
    TimeRecord,
)


def time(median_ms, spread=0.01):
    return TimeRecord(
        median_ms=median_ms,
        low_ms=median_ms * (1 - spread),
        high_ms=median_ms * (1 + spread),
        p95_ms=median_ms * (1 + 3 * spread),
    )


MEMORY = MemoryUse(
    weight_bytes=2_480_000_000,
    peak_prefill_bytes=2_900_000_000,
    peak_decode_bytes=2_700_000_000,
    kv_cache_bytes=36_000_000,
    disk_bytes=2_471_645_608,
    load_seconds=3.5,
)
REFERENCE = ServingRecord(
    variant="fp16",
    variant_label="fp16",
    mode="eager",
    fallback="",
    ttft=time(24.0),
    tpot=time(20.0),
    e2e=time(1284.0),
    tokens_per_second=49.8,
    host_bound_share=0.1,
    memory=MEMORY,
    cost_per_million_tokens=None,
)
VARIANT = replace(
    REFERENCE,
    variant="int4",
    variant_label="int4 (nf4)",
    ttft=time(30.0),
    tpot=time(26.0),
    e2e=time(1668.0),
    tokens_per_second=38.4,
    memory=replace(
        MEMORY,
        weight_bytes=1_030_000_000,
        peak_prefill_bytes=1_450_000_000,
        peak_decode_bytes=1_250_000_000,
    ),
)


def ratio(value, spread=0.01):
    return RatioRecord(value=value, low=value * (1 - spread), high=value * (1 + spread))


LATENCY = LatencyRecord(
    model="models/helpdesk",
    workload="serving",
    slice=None,
    fingerprint="f" * 64,
    prompt_fingerprint="e" * 64,
    runtime="transformers eager, not your server",
    mode_asked="eager",
    device="cuda:0",
    device_name="NVIDIA H100",
    prompt_tokens=512,
    new_tokens=64,
    batch_size=1,
    schedule="pairs",
    n=24,
    n_planned=60,
    stopped="decided",
    n_discarded=1,
    n_throttled=0,
    sm_clock_mhz=[1755, 1980],
    temperature_celsius=[41, 41],
    throttling=["sw_thermal_slowdown"],
    contention="none",
    seconds=71.0,
    measured_at="2026-11-21T10:01:00+00:00",
    gpu_hour_cost=None,
    reference=REFERENCE,
    variant=VARIANT,
    ttft_ratio=ratio(1.25),
    tpot_ratio=ratio(1.3),
    e2e_ratio=ratio(1.299),
    throughput_ratio=ratio(0.77),
)

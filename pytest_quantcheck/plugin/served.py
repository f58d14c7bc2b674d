"""The record of a timing: times, throughput, memory and cost of both models."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_quantcheck.core.limit import Statistic
from pytest_quantcheck.core.serving import (
    LatencyRecord,
    RatioRecord,
    ServingRecord,
    TimeRecord,
)
from pytest_quantcheck.stats.latency import TimedRuns, log_ratios, rank_signed
from pytest_quantcheck.stats.quantile import quantile_interval
from pytest_quantcheck.workloads.latency import slice_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from pytest_quantcheck.core.latency import LatencySamples, RunTimes
    from pytest_quantcheck.core.limit import Limit
    from pytest_quantcheck.measure.latency.timed import TimedPair, TimedSide

    Read = Callable[[RunTimes], float | None]

MS_PER_SECOND = 1000
_SECONDS_PER_HOUR = 3600
_BYTES_PER_MIB = 2**20
_MILLION = 1_000_000
READERS: dict[str, Read] = {
    "ttft": lambda run: run.ttft_seconds,
    "tpot": lambda run: run.tpot_seconds,
    "e2e": lambda run: run.e2e_seconds,
    "throughput": lambda run: run.tokens_per_second,
}
"""What each metric reads of a run: seconds, or tokens per second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a timing was made, and what is said of it."""

    model: str
    runtime: str
    """What serves: `transformers`."""
    device: str
    device_name: str
    reference_label: str
    variant_label: str
    gpu_hour_cost: float | None
    alpha: float
    """Of each side of an interval."""


def latency_record(timed: TimedPair, place: Place) -> LatencyRecord:
    """Return the record of one timing."""
    workload, samples, shape = timed.workload, timed.samples, timed.shape
    stopped = samples.stopped
    assert stopped is not None  # noqa: S101 - timing has ended
    mode = samples.variant.mode
    return LatencyRecord(
        model=place.model,
        workload=workload.name,
        slice=slice_name(shape.batch_size) if workload.slices else None,
        fingerprint=workload.fingerprint,
        prompt_fingerprint=timed.prompt_fingerprint,
        runtime=f"{place.runtime} {mode}, not your server",
        mode_asked=shape.mode,
        device=place.device,
        device_name=place.device_name,
        prompt_tokens=len(shape.prompts[0]),
        new_tokens=shape.new_tokens,
        batch_size=shape.batch_size,
        schedule=samples.schedule.value,
        n=samples.n,
        n_planned=samples.n_planned,
        stopped=stopped.value,
        n_discarded=samples.n_discarded,
        n_throttled=len(samples.throttled),
        throttling=[*samples.reasons],
        sm_clock_mhz=_listed(samples.sm_clock_mhz),
        temperature_celsius=_listed(samples.temperature_celsius),
        contention=samples.contention,
        seconds=samples.seconds,
        measured_at=timed.measured_at,
        gpu_hour_cost=place.gpu_hour_cost,
        reference=_side(timed, timed.reference, place, is_variant=False),
        variant=_side(timed, timed.variant, place, is_variant=True),
        ttft_ratio=_ratio(samples, "ttft", place.alpha),
        tpot_ratio=None if shape.new_tokens == 1 else _ratio(samples, "tpot", place.alpha),
        e2e_ratio=_ratio(samples, "e2e", place.alpha),
        throughput_ratio=_ratio(samples, "throughput", place.alpha),
    )


def _listed(span: tuple[int, int] | None) -> list[int] | None:
    return None if span is None else [*span]


def timing_warnings(record: LatencyRecord) -> Iterator[str]:
    """Yield what the reader should know of a timing, beside its figures."""
    name = record.workload + (f"[{record.slice}]" if record.slice else "")
    if record.contention not in {"none", "unknown"}:
        yield f"{name}: something else used {record.device} meanwhile: {record.contention}"
    if record.n_throttled:
        yield (
            f"{name}: the device stayed throttled in {record.n_throttled} of {record.n} blocks "
            f"({', '.join(record.throttling)}); it was not measured at full speed"
        )


def values_of(samples: LatencySamples, metric: str, *, variant: bool) -> NDArray[np.float64]:
    """Return (n,) what a metric reads of one side's runs, in seconds or tokens per second."""
    found = [READERS[metric](run) for run in samples.of(variant=variant)]
    return np.array([value for value in found if value is not None])


def peak_bytes(side: TimedSide) -> int | None:
    """Return the most memory one side took; None where the device does not tell."""
    return side.memory.peak_bytes


def levels_of(timed: TimedPair, *, variant: bool) -> dict[str, float]:
    """Return medians in milliseconds and tokens per second, and peak memory in MiB."""
    found = {
        metric: float(np.median(values_of(timed.samples, metric, variant=variant)))
        for metric in timed.workload.metrics
        if metric in READERS
    }
    levels = {
        metric: value if metric == "throughput" else MS_PER_SECOND * value
        for metric, value in found.items()
    }
    peak = peak_bytes(timed.variant if variant else timed.reference)
    return levels if peak is None else levels | {"peak_memory": peak / _BYTES_PER_MIB}


def level_of(timed: TimedPair, limit: Limit, *, variant: bool) -> float:
    """Return the metric of one side: a time in ms (of the limit's percentile), tokens/s, bytes."""
    side, metric = timed.variant if variant else timed.reference, limit.metric or ""
    if metric not in READERS:
        return float(peak_bytes(side) or 0)
    values = values_of(timed.samples, metric, variant=variant)
    if limit.statistic is Statistic.LATENCY_QUANTILE:
        return MS_PER_SECOND * _observed(values, limit.quantile or 0.5)
    return float(np.median(values)) * (1 if metric == "throughput" else MS_PER_SECOND)


def _side(timed: TimedPair, side: TimedSide, place: Place, *, is_variant: bool) -> ServingRecord:
    samples = timed.samples
    served = samples.variant if is_variant else samples.reference
    times = {
        metric: values_of(samples, metric, variant=is_variant) for metric in ("ttft", "tpot", "e2e")
    }
    rate = float(np.median(values_of(samples, "throughput", variant=is_variant)))
    price = place.gpu_hour_cost
    return ServingRecord(
        variant=side.variant.name,
        variant_label=place.variant_label if is_variant else place.reference_label,
        mode=served.mode,
        fallback=served.fallback,
        ttft=_time(times["ttft"], place.alpha),
        tpot=_time(times["tpot"], place.alpha) if times["tpot"].size else None,
        e2e=_time(times["e2e"], place.alpha),
        tokens_per_second=rate,
        host_bound_share=samples.host_bound_share(variant=is_variant),
        memory=side.memory,
        cost_per_million_tokens=None
        if price is None
        else price / (_SECONDS_PER_HOUR * rate) * _MILLION,
    )


def _time(seconds: NDArray[np.float64], alpha: float) -> TimeRecord:
    milliseconds = MS_PER_SECOND * seconds
    interval = quantile_interval(milliseconds, quantile=0.5, alpha=alpha)
    return TimeRecord(
        median_ms=float(np.median(milliseconds)),
        low_ms=_known(interval.low),
        high_ms=_known(interval.high),
        p95_ms=_observed(milliseconds, 0.95),
    )


def _observed(values: NDArray[np.float64], quantile: float) -> float:
    """Return the smallest value that so many of them do not exceed."""
    rank = math.ceil(quantile * values.size - 1e-9) - 1
    return float(np.sort(values)[max(0, rank)])


def _ratio(samples: LatencySamples, metric: str, alpha: float) -> RatioRecord:
    found: Sequence[float | None] = [READERS[metric](run) for run in samples.runs]
    ranks = rank_signed(
        log_ratios(
            TimedRuns(
                seconds=np.array(found, dtype=np.float64),
                is_variant=np.array(samples.is_variant),
                blocks=np.array(samples.blocks),
            )
        )
    )
    interval = ranks.invert(alpha=alpha)
    return RatioRecord(
        value=math.exp(ranks.pseudo_median),
        low=_known(math.exp(interval.low)) if math.isfinite(interval.low) else None,
        high=_known(math.exp(interval.high)) if math.isfinite(interval.high) else None,
    )


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None

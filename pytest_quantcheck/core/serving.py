"""What timing a workload found, as records."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_quantcheck.core.memory import MemoryUse  # noqa: TC001 - revived


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeRecord:
    """One of the times of a request on one model, over all runs that count."""

    median_ms: float
    low_ms: float | None
    """Of the interval of the median; None where there are too few runs for an end."""
    high_ms: float | None
    p95_ms: float
    """As observed: the smallest time that 95 % of the runs do not exceed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioRecord:
    """One of the times, variant over reference."""

    value: float
    low: float | None
    """None where there are too few pairs for an interval."""
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingRecord:
    """How one model served one request batch, again and again."""

    variant: str
    variant_label: str
    mode: str
    """What really ran: `eager` or `compiled`."""
    fallback: str
    """Why that is not the mode asked for; empty where it is."""
    ttft: TimeRecord
    """Request to first token: prefill."""
    tpot: TimeRecord | None
    """(end - first token)/(new tokens - 1); None where one token is generated."""
    e2e: TimeRecord
    """The whole request."""
    tokens_per_second: float
    """Of the whole batch, prompt not counted: the median over runs."""
    host_bound_share: float | None
    """Share of the runs in which the host, not the device, set the pace; None where the device
    keeps no time of its own."""
    memory: MemoryUse
    cost_per_million_tokens: float | None
    """Of generated tokens at this throughput, in the currency of the hour's price; None where no
    price is set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyRecord:
    """Reference and variant timed against each other at one batch size."""

    model: str
    """As in its `EnvironmentRecord`."""
    workload: str
    slice: str | None
    """`batch 8`, where the workload has several batch sizes."""
    fingerprint: str
    """Digest of the workload's recipe."""
    prompt_fingerprint: str
    """Digest of the token ids that both models were given."""
    runtime: str
    """What served: `transformers eager, not your server`."""
    mode_asked: str
    device: str
    device_name: str
    prompt_tokens: int
    """For each row of the batch."""
    new_tokens: int
    batch_size: int
    schedule: str
    """`pairs`: both in memory, one run of each in random order; `loads`: they do not fit together,
    and each block is one load of each with several runs."""
    n: int
    """Pairs, or blocks of loads, that count."""
    n_planned: int
    """Most that would have been timed."""
    stopped: str
    """`decided`, `repeats` or `seconds`: what ended the timing."""
    n_discarded: int
    """Pairs or blocks timed again because the device was throttled."""
    n_throttled: int
    """Of those that count, timed while the device stayed throttled all the same."""
    throttling: list[str]
    """Why it was throttled, as the driver names it."""
    sm_clock_mhz: list[int] | None
    """Slowest and fastest at the end of a pair or block; None where it cannot be read."""
    temperature_celsius: list[int] | None
    """Of the device, lowest and highest; None where it cannot be read."""
    contention: str
    """`none`, `unknown`, or who else used the device."""
    seconds: float
    """Wall-clock time of the timing, warm-up too, without loading."""
    measured_at: str
    """UTC, ISO 8601."""
    gpu_hour_cost: float | None
    """The user's price of an hour; None where none is set."""
    reference: ServingRecord
    """As it was timed beside this variant; beside another one its figures differ by what drifts."""
    variant: ServingRecord
    ttft_ratio: RatioRecord
    tpot_ratio: RatioRecord | None
    e2e_ratio: RatioRecord
    throughput_ratio: RatioRecord

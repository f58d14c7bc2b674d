"""A limit: one number that one statistic of reference and variant must keep."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_quantcheck.core.quantity import Unit


class Statistic(Enum):
    """What is compared with the limit."""

    DROP = "drop"
    """Mean of reference minus variant, per example (higher is better)."""
    RISE = "rise"
    """Mean of variant minus reference, per example (lower is better)."""
    RECOVERY = "recovery"
    """Metric of the variant over that of the reference (higher is better)."""
    LOG_RATIO = "log_ratio"
    """Logarithm of variant over reference, for perplexity; stated as a ratio."""
    VARIANT_LEVEL = "variant_level"
    """The metric of the variant alone."""
    REFERENCE_LEVEL = "reference_level"
    """The metric of the reference alone."""
    FLIPS = "flips"
    """Share of examples whose correctness differs."""
    HARMFUL_FLIPS = "harmful_flips"
    """Share of examples the reference had right and the variant has wrong."""
    WEIGHT_RATIO = "weight_ratio"
    """Bytes of weights as stored, variant over reference: compared exactly."""
    LATENCY_RATIO = "latency_ratio"
    """Time of one run, variant over reference, of neighbouring runs."""
    LATENCY_QUANTILE = "latency_quantile"
    """A percentile of the variant's times, in milliseconds."""
    THROUGHPUT_RATIO = "throughput_ratio"
    """Tokens per second, variant over reference: the inverse ratio of whole-request times."""
    PEAK_MEMORY_RATIO = "peak_memory_ratio"
    """Largest memory in use while serving, variant over reference: compared exactly."""
    PEAK_MEMORY = "peak_memory"
    """Largest memory in use while the variant serves, in MiB: compared exactly."""

    @property
    def is_difference(self) -> bool:
        """Whether it is a mean difference per example, in the unit of the metric."""
        return self in {Statistic.DROP, Statistic.RISE}

    @property
    def is_flips(self) -> bool:
        """Whether it is a share of examples that flip."""
        return self in {Statistic.FLIPS, Statistic.HARMFUL_FLIPS}

    @property
    def is_level(self) -> bool:
        """Whether it is of one model alone."""
        return self in {Statistic.VARIANT_LEVEL, Statistic.REFERENCE_LEVEL}


_EXACT = {Statistic.WEIGHT_RATIO, Statistic.PEAK_MEMORY_RATIO, Statistic.PEAK_MEMORY}
_OF_SERVING = {
    Statistic.LATENCY_RATIO,
    Statistic.LATENCY_QUANTILE,
    Statistic.THROUGHPUT_RATIO,
    Statistic.PEAK_MEMORY_RATIO,
    Statistic.PEAK_MEMORY,
}


class Bound(Enum):
    """Which side of the limit is allowed."""

    UPPER = "upper"
    LOWER = "lower"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One keyword of `quant_budget` with its value."""

    keyword: str
    """As the user wrote it: `max_accuracy_drop`."""
    statistic: Statistic
    metric: str | None
    """Name of the metric; None for flips of whatever the workload counts as correct."""
    bound: Bound
    value: float
    """In the statistic's unit: a fraction, a score, a ratio, milliseconds or MiB."""
    unit: Unit
    quantile: float | None = None
    """Of times: 0.95 for `max_tpot_p95_ms`."""

    @property
    def is_statistical(self) -> bool:
        """Whether sampling error enters, so that the limit counts in the family."""
        return self.statistic not in _EXACT

    @property
    def is_of_serving(self) -> bool:
        """Whether it asks for times or memory, which a `Latency` workload measures."""
        return self.statistic in _OF_SERVING

"""The metrics a workload can report, with direction and scale."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from pytest_quantcheck.core.quantity import Unit


class Direction(Enum):
    """Which way is better."""

    HIGHER_IS_BETTER = "higher"
    LOWER_IS_BETTER = "lower"


class Scale(Enum):
    """What one example's value can be, and so which test decides."""

    BINARY = "binary"
    """Each example is right (1) or wrong (0)."""
    SCORE = "score"
    """Each example has a real score, bounded or not."""
    NLL = "nll"
    """Each example has a negative log-likelihood in nats, and tokens (words, bytes) it is of."""
    DIVERGENCE = "divergence"
    """Each example has a divergence in nats, 0 or more, added up over its tokens."""
    QUANTILE = "quantile"
    """Each example has a divergence for each of its tokens; a quantile of all of them counts."""
    SHARE = "share"
    """Each example has a number of tokens, of which some count."""
    TIME = "time"
    """Each run has a time."""
    RATE = "rate"
    """Each run has tokens per second."""
    SIZE = "size"
    """There is one number of bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A name for one kind of per-example number."""

    name: str
    direction: Direction
    scale: Scale
    level_unit: Unit
    """Unit of the metric itself: `91.2 %`."""
    degradation_unit: Unit
    """Unit of reference against variant: `2.3 pp`."""
    is_of_pair: bool = False
    """Whether it compares two models by itself, so that the reference's own is the ideal."""
    quantile: float | None = None
    """Which one, where a quantile counts."""
    per: str = "token"
    """What the nats of a perplexity are divided by: `token`, `word` or `byte`."""

    @property
    def is_correctness(self) -> bool:
        """Whether it says right or wrong, so that an example can flip."""
        return self.scale is Scale.BINARY and self.direction is Direction.HIGHER_IS_BETTER

    @property
    def is_of_serving(self) -> bool:
        """Whether it is one of time or memory, and no score of examples."""
        return self.scale in {Scale.TIME, Scale.RATE, Scale.SIZE}


def _right_or_wrong(name: str, direction: Direction = Direction.HIGHER_IS_BETTER) -> Metric:
    return Metric(
        name=name,
        direction=direction,
        scale=Scale.BINARY,
        level_unit=Unit.FRACTION,
        degradation_unit=Unit.POINTS,
    )


def _perplexity(name: str, *, per: str) -> Metric:
    return Metric(
        name=name,
        direction=Direction.LOWER_IS_BETTER,
        scale=Scale.NLL,
        level_unit=Unit.PERPLEXITY,
        degradation_unit=Unit.RATIO,
        per=per,
    )


def _divergence(name: str, scale: Scale, *, quantile: float | None = None) -> Metric:
    return Metric(
        name=name,
        direction=Direction.LOWER_IS_BETTER,
        scale=scale,
        level_unit=Unit.NATS,
        degradation_unit=Unit.NATS,
        is_of_pair=True,
        quantile=quantile,
    )


def _time(name: str) -> Metric:
    return Metric(
        name=name,
        direction=Direction.LOWER_IS_BETTER,
        scale=Scale.TIME,
        level_unit=Unit.MILLISECONDS,
        degradation_unit=Unit.RATIO,
    )


METRICS = {
    metric.name: metric
    for metric in (
        _right_or_wrong("accuracy"),
        _right_or_wrong("accuracy_norm"),
        _right_or_wrong("exact_match"),
        _right_or_wrong("contains"),
        _right_or_wrong("regex_match"),
        _right_or_wrong("json_valid"),
        Metric(
            name="score",
            direction=Direction.HIGHER_IS_BETTER,
            scale=Scale.SCORE,
            level_unit=Unit.SCORE,
            degradation_unit=Unit.SCORE,
        ),
        _right_or_wrong("empty", Direction.LOWER_IS_BETTER),
        _right_or_wrong("truncated", Direction.LOWER_IS_BETTER),
        _right_or_wrong("loop", Direction.LOWER_IS_BETTER),
        _right_or_wrong("length_drift", Direction.LOWER_IS_BETTER),
        _right_or_wrong("degenerate", Direction.LOWER_IS_BETTER),
        _perplexity("perplexity", per="token"),
        _perplexity("word_perplexity", per="word"),
        _perplexity("byte_perplexity", per="byte"),
        _divergence("mean_kl", Scale.DIVERGENCE),
        _divergence("p99_kl", Scale.QUANTILE, quantile=0.99),
        Metric(
            name="top1_agreement",
            direction=Direction.HIGHER_IS_BETTER,
            scale=Scale.SHARE,
            level_unit=Unit.FRACTION,
            degradation_unit=Unit.POINTS,
            is_of_pair=True,
        ),
        _time("ttft"),
        _time("tpot"),
        _time("e2e"),
        Metric(
            name="throughput",
            direction=Direction.HIGHER_IS_BETTER,
            scale=Scale.RATE,
            level_unit=Unit.TOKENS_PER_SECOND,
            degradation_unit=Unit.RATIO,
        ),
        Metric(
            name="peak_memory",
            direction=Direction.LOWER_IS_BETTER,
            scale=Scale.SIZE,
            level_unit=Unit.BYTES,
            degradation_unit=Unit.RATIO,
        ),
    )
}
"""Every metric, by name."""


def compares_models(metric: str | None) -> bool:
    """Return whether a metric, by name, compares two models by itself; None names none."""
    return metric in METRICS and METRICS[metric].is_of_pair

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
    """Each example has a negative log-likelihood in nats and a number of tokens."""


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

    @property
    def is_correctness(self) -> bool:
        """Whether it says right or wrong, so that an example can flip."""
        return self.scale is Scale.BINARY and self.direction is Direction.HIGHER_IS_BETTER


def _share(name: str) -> Metric:
    return Metric(
        name=name,
        direction=Direction.HIGHER_IS_BETTER,
        scale=Scale.BINARY,
        level_unit=Unit.FRACTION,
        degradation_unit=Unit.POINTS,
    )


def _fault(name: str) -> Metric:
    return Metric(
        name=name,
        direction=Direction.LOWER_IS_BETTER,
        scale=Scale.BINARY,
        level_unit=Unit.FRACTION,
        degradation_unit=Unit.POINTS,
    )


METRICS = {
    metric.name: metric
    for metric in (
        _share("accuracy"),
        _share("accuracy_norm"),
        _share("exact_match"),
        _share("contains"),
        _share("regex_match"),
        _share("json_valid"),
        Metric(
            name="score",
            direction=Direction.HIGHER_IS_BETTER,
            scale=Scale.SCORE,
            level_unit=Unit.SCORE,
            degradation_unit=Unit.SCORE,
        ),
        _fault("empty"),
        _fault("truncated"),
        _fault("loop"),
        _fault("length_drift"),
        _fault("degenerate"),
        Metric(
            name="perplexity",
            direction=Direction.LOWER_IS_BETTER,
            scale=Scale.NLL,
            level_unit=Unit.PERPLEXITY,
            degradation_unit=Unit.RATIO,
        ),
    )
}
"""Every metric, by name."""

"""In which order, and how often, reference and variant are timed."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from pytest_quantcheck.core.latency import MIN_LOADS, MIN_PAIRS, Schedule, planned_looks
from pytest_quantcheck.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

SideT = TypeVar("SideT")

RUNS_PER_LOAD = 8
SHORTEST_BLOCK_SECONDS = 0.05
"""The device is looked at before and after each block of runs, which last as long or longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides(Generic[SideT]):
    """One of something for the reference, one for the variant."""

    reference: SideT
    variant: SideT

    def of(self, *, variant: bool) -> SideT:
        """Return the variant's, or the reference's."""
        return self.variant if variant else self.reference


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingPlan:
    """How much is timed at most, known before the first run."""

    schedule: Schedule
    n_planned: int
    """Pairs, or blocks of loads, at most."""
    seed: int
    """Of the order of runs."""
    seconds: float | None = None
    """No block begins later than so long after the first warm-up run, loading not counted; None:
    no limit."""
    warmups: int = 3
    """Runs of each server that do not count, at least 3."""
    runs_per_load: int = RUNS_PER_LOAD
    """Runs that count of each load; their median is what is compared."""

    def __post_init__(self) -> None:
        """Refuse what could never be decided."""
        least = self.first_look
        if self.n_planned < least:
            kind = "pairs of runs" if self.schedule is Schedule.PAIRS else "blocks of loads"
            raise UsageError(
                f"at most {self.n_planned} {kind} are to be timed: a comparison takes {least}; "
                "raise repeats"
            )
        if self.seconds is not None and not self.seconds > 0:
            raise UsageError(f"seconds={self.seconds}: expected a time limit above 0")

    @property
    def first_look(self) -> int:
        """Blocks before which nothing is decided."""
        return MIN_PAIRS if self.schedule is Schedule.PAIRS else MIN_LOADS

    @property
    def looks(self) -> tuple[int, ...]:
        """After how many blocks it is asked whether all is decided."""
        return planned_looks(self.n_planned, first=self.first_look)


def draw_orders(seed: int) -> Iterator[tuple[bool, bool]]:
    """Yield the order of each block without end: whether its first run, and second, is the variant.

    Examples
    --------
    >>> orders = draw_orders(3)
    >>> [next(orders)[0] for _ in range(6)]
    [True, False, True, False, False, True]
    """
    coins = random.Random(seed)  # noqa: S311 - a seeded order, no secret
    while True:
        is_first = coins.random() < 0.5  # noqa: PLR2004 - a fair coin
        yield is_first, not is_first


def pairs_per_block(pair_seconds: float) -> int:
    """Return how many pairs last long enough for the device to be looked at.

    Examples
    --------
    >>> pairs_per_block(0.02), pairs_per_block(1.5)
    (3, 1)
    """
    if pair_seconds <= 0:
        return 1
    return max(1, math.ceil(SHORTEST_BLOCK_SECONDS / pair_seconds))

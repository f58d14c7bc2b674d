"""A budget: what one variant may cost on one workload, and where a team said so."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt

    from pytest_quantcheck.core.limit import Limit
    from pytest_quantcheck.core.protocols import WorkloadLike


class Gate(Enum):
    """Which outcomes turn a test red."""

    REGRESSION = "regression"
    """FAIL alone: noise does not block."""
    STRICT = "strict"
    """FAIL and INCONCLUSIVE: only what is shown passes; for releases."""


class Target(Enum):
    """What a verdict is a claim about."""

    POPULATION = "population"
    """What the examples are a sample of: decided by a test, with an interval."""
    DATASET = "dataset"
    """These examples only: arithmetic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where a test stands."""

    nodeid: str
    path: str
    """Relative to the root directory."""
    line: int
    """Counted from 1."""

    def __str__(self) -> str:
        """Return `path:line` as editors read it."""
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """One limit on one variant and workload."""

    variant: str
    workload: WorkloadLike | None
    """None: the one workload the test's body measures."""
    limit: Limit
    gate: Gate | None
    """None: the run's gate."""
    location: Location
    slice: str | None = None
    """None: the whole workload."""
    target: Target | None = None
    """None: the run's target."""
    waive_until: dt.date | None = None
    """The last day, in UTC, on which a red verdict is shown and blocks nobody."""
    reason: str = ""
    """Why the team chose the limit, or waives it."""

    @property
    def shown(self) -> str:
        """The marker as messages name it."""
        return f"quant_budget at {self.location} ({self.location.nodeid})"

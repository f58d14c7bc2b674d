"""A budget: what one variant may cost on one workload, and where a team said so."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_quantcheck.core.limit import Limit
    from pytest_quantcheck.core.protocols import WorkloadLike


class Gate(Enum):
    """Which outcomes turn a test red."""

    REGRESSION = "regression"
    """FAIL alone: noise does not block."""
    STRICT = "strict"
    """FAIL and INCONCLUSIVE: only what is shown passes; for releases."""


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

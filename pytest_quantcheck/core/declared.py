"""What the tests of a working tree declare, as records."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_quantcheck.core.supplements import SourceRecord  # noqa: TC001 - revived


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredBudget:
    """One budget as it stands in the tests."""

    nodeid: str
    path: str
    line: int
    variant: str
    workload: str | None
    """None: what the test's body measures."""
    fingerprint: str
    """Digest of the examples and of how they are scored; empty where they are not known."""
    n: int
    """Examples."""
    error: str
    """Why they cannot be read; empty if they can."""
    slice: str | None
    keyword: str
    limit: float
    gate: str
    target: str
    waive_until: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredModel:
    """One model, and what it is made of."""

    model: str
    """As in its `EnvironmentRecord`."""
    sources: list[SourceRecord]
    error: str
    """Why its files cannot be read; empty if they can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredTree:
    """All of it."""

    alpha: float
    budgets: list[DeclaredBudget]
    models: list[DeclaredModel]

"""Roles that several rooms play, without knowing each other."""

from __future__ import annotations

from typing import Protocol


class WorkloadLike(Protocol):
    """What collection needs to know of a workload: nothing that reads a file."""

    @property
    def name(self) -> str:
        """Short name, as shown in tables."""
        ...

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics it reports; the first is the one shown in tables."""
        ...

"""Roles that several rooms play, without knowing each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

BatchT_contra = TypeVar("BatchT_contra", contravariant=True)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendSpec:
    """How to reach a backend, without importing it."""

    name: str
    """As a variant's `backend` names it."""
    target: str
    """`package.module:factory`; the factory takes nothing and returns the backend."""
    version: str | None = None
    """To be changed whenever its scores may change; scores are kept between runs only where there
    is one."""


class Progress(Protocol):
    """Who is told how far a measurement is."""

    def start(self, variant: str, workload: str, total: int) -> None:
        """Measuring of `total` examples begins."""
        ...

    def advance(self, done: int, tokens: int) -> None:
        """`done` examples and `tokens` tokens are finished in all."""
        ...

    def finish(self) -> None:
        """Forget the measurement: it ended, or failed."""
        ...


class Watcher(Protocol[BatchT_contra]):
    """Who says when enough was measured."""

    def update(self, batch: BatchT_contra) -> bool:
        """Take in the scores of one more batch; return whether no more are needed."""
        ...

"""Hooks that other plugins and a project's `conftest.py` may implement.

All are ordinary pytest hooks. They are called only in runs that reach a quantcheck test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantcheck.core.protocols import BackendSpec
    from pytest_quantcheck.core.record import CheckRecord, RunRecord


def pytest_quantcheck_backends() -> Sequence[BackendSpec]:
    """Return backends that load variants.

    Called once, before the first model is loaded, in every process that measures. A variant names
    its backend: `[tool.quantcheck.variants.mine]` with `backend = "…"`. Two backends of one name,
    built-in ones included, are a usage error.
    """
    return ()


def pytest_quantcheck_record(record: CheckRecord) -> None:
    """Look at one finished check.

    Called right after the verdict, in the process that measured it (under xdist: a worker),
    before the test is reported. The record is final; returning something has no effect.
    """


def pytest_quantcheck_finish(run: RunRecord) -> None:
    """Look at the whole run, or write a report of it.

    Called once at the end of the session, after interruptions too, and under xdist in the
    controller alone, with what arrived by then.
    """

"""What JUnit files carry of each test: its verdict, and the figures of its budgets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantcheck.report.screen import ascii_safe
from pytest_quantcheck.report.wording import place

if TYPE_CHECKING:
    import pytest

    from pytest_quantcheck.core.record import CheckRecord, ItemRecord


def add_properties(item: pytest.Item, record: ItemRecord) -> None:
    """Let reports of a test carry its verdict and figures, once however often it runs."""
    shown = [("quantcheck.verdict", record.outcome)]
    shown += [one for check in record.checks for one in _figures(check)]
    item.user_properties += [one for one in shown if one not in item.user_properties]


def _figures(check: CheckRecord) -> list[tuple[str, str]]:
    """Return few and short ones: they stand outside the schema of xunit2."""
    where = f"{ascii_safe(place(check))}." if check.workload else ""
    name = f"quantcheck.{where}{check.keyword}"
    figures = {"value": f"{check.value:.6g}", "limit": f"{check.limit:.6g}", "n": str(check.n)}
    return [(f"{name}.{key}", figure) for key, figure in figures.items()]

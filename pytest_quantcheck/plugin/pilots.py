"""What pytest's cache keeps of finished runs, so that the next ones can be planned."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from pytest_quantcheck.core.plain import from_builtins, to_builtins
from pytest_quantcheck.core.record import PilotRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from pytest_quantcheck.core.budget import Budget
    from pytest_quantcheck.core.record import CheckRecord

_KEY = "quantcheck/last"


def remember(config: pytest.Config, checks: Sequence[CheckRecord]) -> None:
    """Keep what each test found, in place of what it found before."""
    cache: pytest.Cache | None = getattr(config, "cache", None)
    if cache is None:
        return
    found: dict[str, list[Any]] = {}
    for check in checks:
        if check.is_statistical:
            found.setdefault(check.nodeid, []).append(to_builtins(pilot_of(check)))
    cache.set(_KEY, {**_kept(cache), **found})


def pilot_of(check: CheckRecord) -> PilotRecord:
    """Return what later plans need of a check."""
    return PilotRecord(**{field.name: getattr(check, field.name) for field in fields(PilotRecord)})


def recall(config: pytest.Config, nodeid: str, budget: Budget) -> PilotRecord | None:
    """Return what the last run found on one budget, if there was one."""
    cache: pytest.Cache | None = getattr(config, "cache", None)
    if cache is None:
        return None
    name = budget.workload.name if budget.workload else None
    for data in _kept(cache).get(nodeid, ()):
        try:
            pilot = from_builtins(PilotRecord, data)
        except (KeyError, TypeError):  # an older version wrote it
            continue
        is_same = (pilot.slice, pilot.keyword) == (budget.slice, budget.limit.keyword)
        if is_same and pilot.n > 0 and name in {None, pilot.workload}:
            return pilot
    return None


def _kept(cache: pytest.Cache) -> dict[str, Any]:
    kept = cache.get(_KEY, {})
    return kept if isinstance(kept, dict) else {}

"""What pytest's cache keeps of finished runs, so that the next ones can be planned."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from pytest_quantcheck.core.plain import from_builtins, to_builtins
from pytest_quantcheck.core.supplements import PilotRecord

if TYPE_CHECKING:
    import pytest

    from pytest_quantcheck.core.budget import Budget
    from pytest_quantcheck.core.record import CheckRecord, RunRecord

_KEY = "quantcheck/last"
_PACE_KEY = "quantcheck/pace"
REFERENCE = ""
"""Stands among variants for the reference, whichever it is."""


def remember(config: pytest.Config, run: RunRecord) -> None:
    """Keep what each test found and how long it took, in place of what was known before."""
    cache: pytest.Cache | None = getattr(config, "cache", None)
    if cache is None or run.environment is None:
        return
    found: dict[str, list[Any]] = {}
    for check in run.checks:
        if check.is_statistical:
            found.setdefault(check.nodeid, []).append(to_builtins(pilot_of(check)))
    cache.set(_KEY, {**_kept(cache, _KEY), **found})
    device = run.environment.device_name
    paces: dict[str, list[Any]] = {
        _pace_key(one.model, REFERENCE if one.is_reference else one.variant, one.workload): [
            one.seconds / one.n,
            device,
        ]
        for one in run.measurements
    }
    for one in run.latencies:
        key = _pace_key(one.model, one.variant.variant, one.workload)
        seconds, _ = paces.get(key, [0.0, device])
        paces[key] = [seconds + one.seconds, device]  # of all batch sizes
    cache.set(_PACE_KEY, {**_kept(cache, _PACE_KEY), **paces})


def recall_pace(
    config: pytest.Config, *, model: str, variant: str, workload: str
) -> tuple[float, str] | None:
    """Return the seconds that an example, or all of a timing, took and the device, if known."""
    cache: pytest.Cache | None = getattr(config, "cache", None)
    found = cache and _kept(cache, _PACE_KEY).get(_pace_key(model, variant, workload))
    return (float(found[0]), str(found[1])) if found else None


def pilot_of(check: CheckRecord) -> PilotRecord:
    """Return what later plans need of a check."""
    return PilotRecord(**{field.name: getattr(check, field.name) for field in fields(PilotRecord)})


def recall(config: pytest.Config, nodeid: str, budget: Budget) -> PilotRecord | None:
    """Return what the last run found on one budget, if there was one."""
    cache: pytest.Cache | None = getattr(config, "cache", None)
    if cache is None:
        return None
    name = budget.workload.name if budget.workload else None
    for data in _kept(cache, _KEY).get(nodeid, ()):
        try:
            pilot = from_builtins(PilotRecord, data)
        except (KeyError, TypeError):  # an older version wrote it
            continue
        is_same = (pilot.slice, pilot.keyword) == (budget.slice, budget.limit.keyword)
        if is_same and pilot.n > 0 and name in {None, pilot.workload}:
            return pilot
    return None


def _kept(cache: pytest.Cache, key: str) -> dict[str, Any]:
    kept = cache.get(key, {})
    return kept if isinstance(kept, dict) else {}


def _pace_key(model: str, variant: str, workload: str) -> str:
    return f"{model}\n{variant}\n{workload}"

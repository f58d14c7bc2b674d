"""Quality against size and time: a panel for each workload, a point for each variant."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantcheck.core.metric import METRICS, Direction
from pytest_quantcheck.core.quantity import Unit, format_bare, format_bytes, format_quantity
from pytest_quantcheck.report.html.axis import Axis, padded
from pytest_quantcheck.report.html.labels import Anchored, Label, place_labels
from pytest_quantcheck.report.html.texts import shown
from pytest_quantcheck.report.serving import by_shape, longest_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_quantcheck.core.record import CheckRecord, MeasurementRecord, RunRecord
    from pytest_quantcheck.core.serving import LatencyRecord

WIDTH, HEIGHT = 356, 230
LEFT, RIGHT, TOP, BOTTOM = 54, 336, 14, 196
_LEAST_RANGE = {Unit.FRACTION: 0.02, Unit.PERPLEXITY: 0.1}
_CHANGES = {"drop", "rise", "log_ratio"}
"""Statistics that move a level."""
_MEBIBYTE = 2**20
_ROOM = 1.36
"""Length of the axis of costs against the largest: names stand to the right of their points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A place on an axis and what stands there."""

    place: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One variant in one panel."""

    name: str
    cost: str
    """What it takes: size or time."""
    level: str
    x: float
    y: float
    low: float | None
    """Ends of the interval of its change, drawn; None where no budget asked for one."""
    high: float | None
    budget: float | None
    """Down to where its budget lets it fall."""
    is_reference: bool
    outcome: str
    """The worst on this workload; empty where no budget asked."""
    label: Label


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One workload."""

    title: str
    metric: str
    cost: str
    better: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    points: list[Point]
    front: str
    """Points of a line through the variants that no other beats in both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spot:
    """A variant before it is drawn."""

    name: str
    cost: float
    level: float
    low: float | None
    high: float | None
    budget: float | None
    is_reference: bool
    outcome: str


def size_panels(run: RunRecord) -> list[Panel]:
    """Return a panel of weights against the headline metric for each workload."""
    return [
        _panel(group, {one.variant_label: float(one.weight_bytes) for one in group}, run.checks)
        for group in _groups(run.measurements)
        if len({one.variant_label for one in group}) > 1
    ]


def time_panels(run: RunRecord) -> list[Panel]:
    """Return a panel of time per token against the headline metric, where times were measured."""
    panels = []
    for group in _groups(run.measurements):
        times = _times(one for one in run.latencies if one.model == group[0].model)
        timed = [one for one in group if one.variant_label in times]
        if len({one.variant_label for one in timed}) > 1:
            panels.append(_panel(timed, times, run.checks, is_time=True))
    return panels


def _times(latencies: Iterable[LatencyRecord]) -> dict[str, float]:
    """Return milliseconds per token of each variant at the smallest batch."""
    found: dict[str, float] = {}
    for timings in by_shape(sorted(latencies, key=lambda one: one.batch_size)).values():
        for side in (longest_of(timings).reference, *(one.variant for one in timings)):
            time = side.tpot or side.e2e
            found.setdefault(side.variant_label, time.median_ms)
    return found


def _groups(measurements: Sequence[MeasurementRecord]) -> list[list[MeasurementRecord]]:
    """Return the measurements of each workload of each model, the reference first."""
    groups: dict[tuple[str, ...], list[MeasurementRecord]] = {}
    for one in measurements:
        if not math.isfinite(one.level):
            continue  # it has no place in a chart; the table shows it
        groups.setdefault((one.model, one.workload, one.fingerprint), []).append(one)
    return [sorted(group, key=lambda one: not one.is_reference) for group in groups.values()]


def _panel(
    group: Sequence[MeasurementRecord],
    costs: dict[str, float],
    checks: Sequence[CheckRecord],
    *,
    is_time: bool = False,
) -> Panel:
    first = group[0]
    unit, is_lower = Unit(first.level_unit), _is_lower_better(first.metric)
    spots = [_spot(one, costs[one.variant_label], checks) for one in group]
    levels = [
        number
        for spot in spots
        for number in (spot.level, spot.low, spot.high)
        if number is not None
    ]
    low, high = padded(levels, least=_LEAST_RANGE.get(unit, 0.0))
    if unit is Unit.FRACTION:
        low, high = max(low, -0.02), min(high, 1.02)
    ends = (TOP, BOTTOM) if is_lower else (BOTTOM, TOP)
    y_axis = Axis(low=low, high=high, start=ends[0], end=ends[1])
    most = max(spot.cost for spot in spots)
    x_axis = Axis(low=0.0, high=most * _ROOM, start=LEFT, end=RIGHT)
    return Panel(
        title=shown(first.workload),
        metric=first.metric,
        cost="ms per token" if is_time else f"weights, {_size_step(most)[1]}",
        better="lower is better" if is_lower else "higher is better",
        x_ticks=_cost_ticks(x_axis, is_time=is_time),
        y_ticks=[
            Tick(place=y_axis.place(one), text=_level_tick(one, unit)) for one in y_axis.ticks(4)
        ],
        points=_points(spots, x_axis, y_axis, unit=unit, is_time=is_time),
        front=_front(spots, x_axis, y_axis, is_lower=is_lower),
    )


def _is_lower_better(metric: str) -> bool:
    return metric in METRICS and METRICS[metric].direction is Direction.LOWER_IS_BETTER


def _spot(one: MeasurementRecord, cost: float, checks: Sequence[CheckRecord]) -> _Spot:
    mine = [
        check
        for check in checks
        if (check.model, check.variant_label, check.fingerprint)
        == (one.model, one.variant_label, one.fingerprint)
        and check.slice is None
    ]
    changes = (check for check in mine if check.metric == one.metric)
    change = next((check for check in changes if check.statistic in _CHANGES), None)
    outcomes = {check.outcome for check in mine}
    worst = next((o for o in ("fail", "inconclusive", "pass") if o in outcomes), "")
    low = high = budget = None
    if change is not None:
        budget = _moved(change, change.limit)
        ends = [_moved(change, end) for end in (change.low, change.high) if end is not None]
        low, high = ends if len(ends) > 1 and all(map(math.isfinite, ends)) else (None, None)
    return _Spot(
        name=shown(one.variant),
        cost=cost,
        level=one.level,
        low=low,
        high=high,
        budget=budget,
        is_reference=one.is_reference,
        outcome="" if one.is_reference else worst,
    )


def _moved(check: CheckRecord, change: float) -> float:
    """Return the level that a degradation leads to."""
    if check.statistic == "log_ratio":
        return check.reference_level * change
    return check.reference_level + (change if check.statistic == "rise" else -change)


def _points(
    spots: Sequence[_Spot], x_axis: Axis, y_axis: Axis, *, unit: Unit, is_time: bool
) -> list[Point]:
    levels = [format_quantity(spot.level, unit) for spot in spots]
    anchored = [
        Anchored(x=x_axis.place(spot.cost), y=y_axis.place(spot.level), text=f"{spot.name} {level}")
        for spot, level in zip(spots, levels, strict=True)
    ]
    budgets = [_within(spot.budget, y_axis) for spot in spots]
    lines = [(at.x, y) for at, y in zip(anchored, budgets, strict=True) if y is not None]
    labels = place_labels(anchored, area=(LEFT, WIDTH, BOTTOM), lines=lines)
    return [
        Point(
            name=spot.name,
            cost=f"{spot.cost:.1f} ms" if is_time else format_bytes(spot.cost),
            level=level,
            x=at.x,
            y=at.y,
            low=None if spot.low is None else y_axis.place(spot.low),
            high=None if spot.high is None else y_axis.place(spot.high),
            budget=budget,
            is_reference=spot.is_reference,
            outcome=spot.outcome,
            label=label,
        )
        for spot, level, at, label, budget in zip(
            spots, levels, anchored, labels, budgets, strict=True
        )
    ]


def _level_tick(value: float, unit: Unit) -> str:
    return format_quantity(value, unit) if unit is Unit.FRACTION else format_bare(value, unit)


def _within(value: float | None, axis: Axis) -> float | None:
    return None if value is None or not axis.low <= value <= axis.high else axis.place(value)


def _front(spots: Sequence[_Spot], x_axis: Axis, y_axis: Axis, *, is_lower: bool) -> str:
    best: list[_Spot] = []
    for spot in sorted(spots, key=lambda one: one.cost):
        gain = spot.level - best[-1].level if best else 1.0
        if not best or (gain < 0 if is_lower else gain > 0):
            best.append(spot)
    return " ".join(f"{x_axis.place(one.cost)},{y_axis.place(one.level)}" for one in best)


def _cost_ticks(axis: Axis, *, is_time: bool) -> list[Tick]:
    if is_time:
        return [Tick(place=axis.place(one), text=f"{one:g}") for one in axis.ticks(4)]
    step, _ = _size_step(axis.high / _ROOM)
    scaled = Axis(low=axis.low, high=axis.high / step, start=axis.start, end=axis.end)
    return [Tick(place=scaled.place(one), text=f"{one:g}") for one in scaled.ticks(4)]


def _size_step(size_bytes: float) -> tuple[int, str]:
    """Return bytes of the unit that sizes are stated in, and its name."""
    gibibyte = _MEBIBYTE * 1024
    if size_bytes >= gibibyte:
        return gibibyte, "GiB"
    return (_MEBIBYTE, "MiB") if size_bytes >= _MEBIBYTE else (1024, "KiB")

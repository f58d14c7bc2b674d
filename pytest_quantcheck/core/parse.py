"""Strict reading of what a team wrote in a `quant_budget` marker."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from pytest_quantcheck.core.budget import Budget, Gate
from pytest_quantcheck.core.limit import Bound, Limit, Statistic
from pytest_quantcheck.core.metric import METRICS, Direction, Metric, Scale
from pytest_quantcheck.core.quantity import Unit
from pytest_quantcheck.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_quantcheck.core.budget import Location
    from pytest_quantcheck.core.protocols import WorkloadLike

_LARGEST_RATIO = 10.0
_FLIPS = re.compile(r"max_(?:(?P<metric>\w+?)_)?(?P<harmful>harmful_)?flip_rate")


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkerArguments:
    """What stands between the parentheses of one `quant_budget`."""

    args: tuple[object, ...]
    kwargs: Mapping[str, object]


def parse_marker(
    marker: MarkerArguments, *, variants: Iterable[str], defaults: Iterable[str], where: Location
) -> list[Budget]:
    """Return the budgets of one marker.

    Parameters
    ----------
    marker : MarkerArguments
        Positional arguments name variants; keywords are limits and settings.
    variants : iterable of str
        Every variant that exists.
    defaults : iterable of str
        The variants a marker without any stands for.
    where : Location
        The test, for the message.

    Raises
    ------
    UsageError
        Anything about the marker is wrong.
    """
    shown = f"quant_budget at {where} ({where.nodeid})"
    names = _variants(marker.args, known=list(variants), shown=shown) or list(defaults)
    if not names:
        raise UsageError(
            f"{shown}: no variants; name them, as in quant_budget('int8', …), or set quant_variants"
        )
    kwargs = dict(marker.kwargs)
    workload = _workload(kwargs.pop("workload", None), shown)
    gate = parse_gate(kwargs.pop("gate", None), shown)
    limits = [_in_context(keyword, value, shown) for keyword, value in kwargs.items()]
    if not limits:
        raise UsageError(f"{shown}: no limit; state one, such as max_accuracy_drop=0.01")
    if workload is not None:
        for limit in limits:
            check_measured(limit, workload, shown)
    return [
        Budget(variant=name, workload=workload, limit=limit, gate=gate, location=where)
        for name in names
        for limit in limits
    ]


def parse_limit(keyword: str, value: object) -> Limit:
    """Return the limit that `keyword=value` states.

    Raises
    ------
    UsageError
        The keyword is unknown, or the value is not a number the limit can have.

    Examples
    --------
    >>> parse_limit("max_accuracy_drop", 0.01).statistic
    <Statistic.DROP: 'drop'>
    """
    build = _grammar().get(keyword) or _named_flips(keyword)
    if build is None:
        raise UsageError(f"unknown limit {keyword!r}; {suggestion(keyword, _grammar())}")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{keyword}={value!r}: expected a finite number")
    limit = Limit(
        keyword=keyword,
        statistic=build.statistic,
        metric=build.metric,
        bound=build.bound,
        value=float(value),
        unit=build.unit,
    )
    _check_value(limit)
    return limit


def parse_gate(value: object, shown: str) -> Gate | None:
    """Return the gate called `value`; None stays None."""
    if value is None:
        return None
    known = [gate.value for gate in Gate]
    if value not in known:
        raise UsageError(f"{shown}: gate={value!r}: expected one of {', '.join(known)}")
    return Gate(value)


def check_measured(limit: Limit, workload: WorkloadLike, shown: str) -> None:
    """Raise UsageError if the workload does not report what the limit is about."""
    if limit.statistic is Statistic.WEIGHT_RATIO:
        return
    correctness = [name for name in workload.metrics if METRICS[name].scale is Scale.BINARY]
    fits = limit.metric in workload.metrics if limit.metric else bool(correctness)
    if not fits:
        raise UsageError(
            f"{shown}: {limit.keyword} needs {limit.metric or 'right and wrong answers'}, but "
            f"workload {workload.name} measures {', '.join(workload.metrics)}"
        )


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return "did you mean …" for the nearest known name, and the list of all."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    meant = f"did you mean {close[0]!r}? " if close else ""
    return f"{meant}Known: {', '.join(names)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """A limit without its value."""

    statistic: Statistic
    metric: str | None
    bound: Bound
    unit: Unit


def _grammar() -> dict[str, _Form]:
    forms = {
        "max_flip_rate": _upper(Statistic.FLIPS, None, Unit.FRACTION),
        "max_harmful_flip_rate": _upper(Statistic.HARMFUL_FLIPS, None, Unit.FRACTION),
        "max_weight_memory_ratio": _upper(Statistic.WEIGHT_RATIO, None, Unit.RATIO),
    }
    for metric in METRICS.values():
        forms |= _forms_of(metric)
    return forms


def _forms_of(metric: Metric) -> dict[str, _Form]:
    name = metric.name
    if metric.direction is Direction.LOWER_IS_BETTER:
        return {
            f"max_{name}_ratio": _upper(Statistic.LOG_RATIO, name, Unit.RATIO),
            f"max_{name}": _upper(Statistic.VARIANT_LEVEL, name, metric.level_unit),
            f"max_reference_{name}": _upper(Statistic.REFERENCE_LEVEL, name, metric.level_unit),
        }
    lower = Bound.LOWER
    level, unit = metric.level_unit, metric.degradation_unit
    return {
        f"max_{name}_drop": _upper(Statistic.DROP, name, unit),
        f"min_{name}": _Form(
            statistic=Statistic.VARIANT_LEVEL, metric=name, bound=lower, unit=level
        ),
        f"min_reference_{name}": _Form(
            statistic=Statistic.REFERENCE_LEVEL, metric=name, bound=lower, unit=level
        ),
    }


def _upper(statistic: Statistic, metric: str | None, unit: Unit) -> _Form:
    return _Form(statistic=statistic, metric=metric, bound=Bound.UPPER, unit=unit)


def _named_flips(keyword: str) -> _Form | None:
    """Return the form of `max_accuracy_norm_flip_rate`: flips of one named metric."""
    match = _FLIPS.fullmatch(keyword)
    metric = METRICS.get(match["metric"] or "") if match else None
    if match is None or metric is None or metric.scale is not Scale.BINARY:
        return None
    statistic = Statistic.HARMFUL_FLIPS if match["harmful"] else Statistic.FLIPS
    return _upper(statistic, metric.name, Unit.FRACTION)


def _check_value(limit: Limit) -> None:
    value, stated = limit.value, f"{limit.keyword}={limit.value:g}"
    if value < 0:
        raise UsageError(f"{stated}: a limit is never negative")
    match limit.unit:
        case Unit.FRACTION | Unit.POINTS if value >= 1:
            raise UsageError(
                f"{stated}: expected a fraction below 1; {value:g} % is written {value / 100:g}"
            )
        case Unit.RATIO | Unit.PERPLEXITY if value == 0:
            raise UsageError(f"{stated}: expected a number above 0")
        case Unit.RATIO if value > _LARGEST_RATIO:
            raise UsageError(
                f"{stated}: expected variant over reference, such as 1.05; 5 % more is 1.05"
            )
        case Unit.RATIO if limit.statistic is Statistic.LOG_RATIO and value < 1:
            raise UsageError(
                f"{stated}: expected a ratio of at least 1, variant over reference; "
                f"{value:g} more is {1 + value:g}"
            )


def _in_context(keyword: str, value: object, shown: str) -> Limit:
    try:
        return parse_limit(keyword, value)
    except UsageError as error:
        raise UsageError(f"{shown}: {error}") from None


def _variants(args: tuple[object, ...], *, known: list[str], shown: str) -> list[str]:
    for name in args:
        if not isinstance(name, str):
            raise UsageError(
                f"{shown}: found {name!r} among the variants, expected a name such as 'int8'"
            )
        if name not in known:
            raise UsageError(f"{shown}: unknown variant {name!r}; {suggestion(name, known)}")
        if args.count(name) > 1:
            raise UsageError(f"{shown}: variant {name!r} stands twice")
    return [known[known.index(name)] for name in args if isinstance(name, str)]


def _workload(value: object, shown: str) -> WorkloadLike | None:
    if value is None:
        return None
    if not (hasattr(value, "metrics") and hasattr(value, "name")):
        raise UsageError(
            f"{shown}: workload={value!r}: expected a workload, such as "
            "MultipleChoice.from_jsonl('data/triage.jsonl')"
        )
    return value

"""The keywords of limits: which statistic each states, and which values it can have."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING

from pytest_quantcheck.core.limit import Bound, Limit, Statistic
from pytest_quantcheck.core.metric import METRICS, Direction, Metric, Scale
from pytest_quantcheck.core.quantity import Unit
from pytest_quantcheck.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LARGEST_RATIO = 10.0
_MAY_BE_NOTHING = {Unit.FRACTION, Unit.POINTS, Unit.SCORE}
_SHORTEST_MS = 0.1
_LARGEST_MIB = 1e8
_PERCENTILES = (50, 90, 95, 99)
_FLIPS = re.compile(r"max_(?:(?P<metric>\w+?)_)?(?P<harmful>harmful_)?flip_rate")
_DIFFERENCE = re.compile(r"max_(?P<metric>\w+)_(?:drop|rise)")


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
        hint = _wrong_way(keyword) or _nearest(keyword)
        raise UsageError(f"unknown limit {keyword!r}; {hint}")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{keyword}={value!r}: expected a finite number")
    limit = Limit(
        keyword=keyword,
        statistic=build.statistic,
        metric=build.metric,
        bound=build.bound,
        value=float(value),
        unit=build.unit,
        quantile=build.quantile,
    )
    _check_value(limit)
    return limit


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return "did you mean …" for the nearest known name, and the list of all."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    meant = f"did you mean {close[0]!r}? " if close else ""
    return f"{meant}Known: {', '.join(names)}"


def nominal_limit(keyword: str) -> Limit:
    """Return a limit with any value that it can have, to ask what was seen.

    Raises
    ------
    UsageError
        The keyword is unknown.

    Examples
    --------
    >>> nominal_limit("max_accuracy_drop").value, nominal_limit("max_perplexity_ratio").value
    (0.0, 1.0)
    """
    try:
        return parse_limit(keyword, 0.0)
    except UsageError:
        return parse_limit(keyword, 1.0)


def keywords_of(metric: Metric) -> list[str]:
    """Return the limits that say something of one metric, without those on reference levels.

    Examples
    --------
    >>> keywords_of(METRICS["perplexity"])
    ['max_perplexity_ratio', 'max_perplexity']
    >>> keywords_of(METRICS["accuracy_norm"])[3:]
    ['max_accuracy_norm_flip_rate', 'max_accuracy_norm_harmful_flip_rate']
    """
    forms = _forms_of(metric)
    found = [
        word for word, form in forms.items() if form.statistic is not Statistic.REFERENCE_LEVEL
    ]
    flips = ("flip_rate", "harmful_flip_rate") if metric.is_correctness else ()
    return found + [f"max_{metric.name}_{flip}" for flip in flips]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """A limit without its value."""

    statistic: Statistic
    metric: str | None
    bound: Bound
    unit: Unit
    quantile: float | None = None


def _grammar() -> Mapping[str, _Form]:
    return _forms_of_all(tuple(METRICS.values()))


@lru_cache(maxsize=1)
def _forms_of_all(metrics: tuple[Metric, ...]) -> Mapping[str, _Form]:
    forms = {
        "max_flip_rate": _upper(Statistic.FLIPS, None, Unit.FRACTION),
        "max_harmful_flip_rate": _upper(Statistic.HARMFUL_FLIPS, None, Unit.FRACTION),
        "max_weight_memory_ratio": _upper(Statistic.WEIGHT_RATIO, None, Unit.RATIO),
    }
    for metric in metrics:
        forms |= _forms_of(metric)
    return forms


def _forms_of(metric: Metric) -> dict[str, _Form]:
    name, level, unit = metric.name, metric.level_unit, metric.degradation_unit
    if metric.is_of_serving:
        return _serving_forms(metric)
    if metric.is_of_pair:
        if metric.direction is Direction.LOWER_IS_BETTER:
            return {f"max_{name}": _upper(Statistic.VARIANT_LEVEL, name, level)}
        return {f"min_{name}": _lower(Statistic.VARIANT_LEVEL, name, level)}
    if metric.direction is Direction.LOWER_IS_BETTER:
        is_ratio = metric.scale is Scale.NLL
        worse = Statistic.LOG_RATIO if is_ratio else Statistic.RISE
        return {
            f"max_{name}_{'ratio' if is_ratio else 'rise'}": _upper(worse, name, unit),
            f"max_{name}": _upper(Statistic.VARIANT_LEVEL, name, level),
            f"max_reference_{name}": _upper(Statistic.REFERENCE_LEVEL, name, level),
        }
    return {
        f"max_{name}_drop": _upper(Statistic.DROP, name, unit),
        f"min_{name}": _lower(Statistic.VARIANT_LEVEL, name, level),
        f"min_reference_{name}": _lower(Statistic.REFERENCE_LEVEL, name, level),
        f"min_{name}_recovery": _lower(Statistic.RECOVERY, name, Unit.RATIO),
    }


def _serving_forms(metric: Metric) -> dict[str, _Form]:
    name, ratio = metric.name, metric.degradation_unit
    if metric.scale is Scale.TIME:
        quantiles = {
            f"max_{name}_p{percent}_ms": _Form(
                statistic=Statistic.LATENCY_QUANTILE,
                metric=name,
                bound=Bound.UPPER,
                unit=Unit.MILLISECONDS,
                quantile=percent / 100,
            )
            for percent in _PERCENTILES
        }
        return {f"max_{name}_ratio": _upper(Statistic.LATENCY_RATIO, name, ratio)} | quantiles
    if metric.scale is Scale.RATE:
        return {f"min_{name}_ratio": _lower(Statistic.THROUGHPUT_RATIO, name, ratio)}
    return {
        f"max_{name}_ratio": _upper(Statistic.PEAK_MEMORY_RATIO, name, ratio),
        f"max_{name}_mib": _upper(Statistic.PEAK_MEMORY, name, Unit.MEBIBYTES),
    }


def _upper(statistic: Statistic, metric: str | None, unit: Unit) -> _Form:
    return _Form(statistic=statistic, metric=metric, bound=Bound.UPPER, unit=unit)


def _lower(statistic: Statistic, metric: str, unit: Unit) -> _Form:
    return _Form(statistic=statistic, metric=metric, bound=Bound.LOWER, unit=unit)


def _named_flips(keyword: str) -> _Form | None:
    """Return the form of `max_accuracy_norm_flip_rate`: flips of one named metric."""
    match = _FLIPS.fullmatch(keyword)
    metric = METRICS.get(match["metric"] or "") if match else None
    if match is None or metric is None or not metric.is_correctness:
        return None
    statistic = Statistic.HARMFUL_FLIPS if match["harmful"] else Statistic.FLIPS
    return _upper(statistic, metric.name, Unit.FRACTION)


def _wrong_way(keyword: str) -> str:
    """Return what to write for a known metric whose direction or scale was mistaken."""
    match = _DIFFERENCE.fullmatch(keyword)
    metric = METRICS.get(match["metric"]) if match else None
    if metric is None:
        return ""
    if metric.is_of_pair:
        (keyword,) = _forms_of(metric)
        return f"{metric.name} compares variant and reference by itself: {keyword}=…"
    if metric.is_of_serving:
        ratio = next(iter(_forms_of(metric)))
        return f"{metric.name} is compared as a ratio, variant over reference: {ratio}=…"
    if metric.scale is Scale.NLL:
        return f"{metric.name} is compared as a ratio: max_{metric.name}_ratio=1.02"
    is_lower = metric.direction is Direction.LOWER_IS_BETTER
    better, change = ("lower", "rise") if is_lower else ("higher", "drop")
    return f"{metric.name} is better when {better}: max_{metric.name}_{change}=…"


def _nearest(keyword: str) -> str:
    """Return the limits most like an unknown one; all of them where none is."""
    close = get_close_matches(keyword, _grammar(), n=5)
    if not close:
        return suggestion(keyword, _grammar())
    return f"did you mean {close[0]!r}? Near it: {', '.join(close[1:]) or 'no other'}"


def _check_value(limit: Limit) -> None:
    value, stated = limit.value, f"{limit.keyword}={limit.value:g}"
    if value < 0:
        raise UsageError(f"{stated}: a limit is never negative")
    if value == 0 and limit.unit not in _MAY_BE_NOTHING:
        raise UsageError(f"{stated}: expected a number above 0")
    match limit.unit:
        case Unit.FRACTION | Unit.POINTS if value >= 1:
            raise UsageError(
                f"{stated}: expected a fraction below 1; {value:g} % is written {value / 100:g}"
            )
        case Unit.MEBIBYTES | Unit.MILLISECONDS:
            _check_measure(limit, stated)
        case Unit.RATIO if limit.statistic is Statistic.RECOVERY and value > 1:
            raise UsageError(
                f"{stated}: expected variant over reference, at most 1; {value:g} % is written "
                f"{value / 100:g}"
            )
        case Unit.RATIO if value > _LARGEST_RATIO:
            raise UsageError(
                f"{stated}: expected variant over reference, such as 1.05; 5 % more is 1.05"
            )
        case Unit.RATIO if limit.statistic is Statistic.LOG_RATIO and value < 1:
            raise UsageError(
                f"{stated}: expected a ratio of at least 1, variant over reference; "
                f"{value:g} more is {1 + value:g}"
            )


def _check_measure(limit: Limit, stated: str) -> None:
    """Raise UsageError for what no time and no size can be, as in another unit."""
    value = limit.value
    if limit.unit is Unit.MILLISECONDS and value < _SHORTEST_MS:
        raise UsageError(
            f"{stated}: expected milliseconds, at least {_SHORTEST_MS:g}; {value:g} seconds are "
            f"written {1000 * value:g}"
        )
    if limit.unit is Unit.MEBIBYTES and value > _LARGEST_MIB:
        raise UsageError(
            f"{stated}: expected MiB, at most {_LARGEST_MIB:g}; {value:.15g} bytes are written "
            f"{value / 2**20:.10g}"
        )

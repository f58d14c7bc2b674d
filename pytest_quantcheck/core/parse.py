"""Strict reading of what a team wrote in a `quant_budget` marker."""

from __future__ import annotations

import datetime as dt
import re
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, TypeVar

from pytest_quantcheck.core.budget import Budget, Gate, Target
from pytest_quantcheck.core.grammar import parse_limit, suggestion
from pytest_quantcheck.core.limit import Statistic
from pytest_quantcheck.core.metric import METRICS
from pytest_quantcheck.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_quantcheck.core.budget import Location
    from pytest_quantcheck.core.limit import Limit
    from pytest_quantcheck.core.protocols import WorkloadLike

_WordT = TypeVar("_WordT", Gate, Target)
_TERMS = ("workload", "slice", "gate", "target", "reason", "waive_until")
"""Keywords of a marker that are no limits."""
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


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
    terms = _terms(kwargs, shown)
    limits = [_in_context(keyword, value, shown) for keyword, value in kwargs.items()]
    if not limits:
        raise UsageError(f"{shown}: no limit; state one, such as max_accuracy_drop=0.01")
    for limit in limits:
        _check_fits(limit, terms, shown)
    return [
        Budget(
            variant=name,
            workload=terms.workload,
            limit=limit,
            gate=terms.gate,
            location=where,
            slice=terms.slice,
            target=terms.target,
            waive_until=terms.waive_until,
            reason=terms.reason,
        )
        for name in names
        for limit in limits
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Terms:
    """What a marker says beside variants and limits."""

    workload: WorkloadLike | None
    slice: str | None
    gate: Gate | None
    target: Target | None
    waive_until: dt.date | None
    reason: str


def _terms(kwargs: dict[str, object], shown: str) -> _Terms:
    """Take everything that is no limit out of `kwargs`."""
    reason = _text(kwargs.pop("reason", None), "reason", shown)
    waive_until = _day(kwargs.pop("waive_until", None), shown)
    if waive_until is not None and reason is None:
        raise UsageError(
            f"{shown}: waive_until={waive_until.isoformat()!r} without a reason; say why the "
            "failure is accepted until then: reason='…'"
        )
    return _Terms(
        workload=_workload(kwargs.pop("workload", None), shown),
        slice=_text(kwargs.pop("slice", None), "slice", shown),
        gate=_one_of(Gate, kwargs.pop("gate", None), shown),
        target=_one_of(Target, kwargs.pop("target", None), shown),
        waive_until=waive_until,
        reason=reason or "",
    )


def _check_fits(limit: Limit, terms: _Terms, shown: str) -> None:
    """Raise UsageError if the limit has no meaning for the workload, or for a part of it."""
    if terms.slice is not None and limit.statistic is Statistic.WEIGHT_RATIO:
        raise UsageError(
            f"{shown}: {limit.keyword} with slice={terms.slice!r}: weights have no slices; state "
            "it in a marker of its own"
        )
    if terms.target is Target.DATASET and limit.is_of_serving:
        raise UsageError(
            f"{shown}: {limit.keyword} with target='dataset': runs are no examples; leave target "
            "out, or state the limit in a marker of its own"
        )
    if terms.workload is not None:
        check_measured(limit, terms.workload, shown)


def is_measured(limit: Limit, workload: WorkloadLike) -> bool:
    """Return whether the workload reports what the limit is about."""
    if limit.metric is not None:
        return limit.metric in workload.metrics
    is_of_weights = limit.statistic is Statistic.WEIGHT_RATIO
    return not is_of_weights and any(METRICS[name].is_correctness for name in workload.metrics)


def check_measured(limit: Limit, workload: WorkloadLike, shown: str) -> None:
    """Raise UsageError if the workload does not report what the limit is about."""
    if limit.statistic is Statistic.WEIGHT_RATIO:
        return
    if not is_measured(limit, workload):
        raise UsageError(
            f"{shown}: {limit.keyword} needs {limit.metric or 'right and wrong answers'}, but "
            f"workload {workload.name} measures {', '.join(workload.metrics)}"
        )


def _in_context(keyword: str, value: object, shown: str) -> Limit:
    if close := get_close_matches(keyword, _TERMS, n=1):
        raise UsageError(f"{shown}: unknown keyword {keyword!r}; did you mean {close[0]!r}?")
    try:
        return parse_limit(keyword, value)
    except UsageError as error:
        raise UsageError(f"{shown}: {error}") from None


def _one_of(kind: type[_WordT], value: object, shown: str) -> _WordT | None:
    """Return the member of `kind` whose value stands there; None stays None."""
    if value is None:
        return None
    for member in kind:
        if member.value == value:
            return member
    known = ", ".join(member.value for member in kind)
    raise UsageError(f"{shown}: {kind.__name__.lower()}={value!r}: expected one of {known}")


def _text(value: object, name: str, shown: str) -> str | None:
    """Return a label or sentence of the user's; a whole number may name a slice."""
    if value is None:
        return None
    is_number = type(value) is int and name == "slice"
    if not is_number and (not isinstance(value, str) or not value.strip()):
        raise UsageError(f"{shown}: {name}={value!r}: expected a string with something in it")
    return str.__str__(value) if isinstance(value, str) else str(value)


def _day(value: object, shown: str) -> dt.date | None:
    if value is None:
        return None
    if isinstance(value, str) and _DAY.fullmatch(value):
        with suppress(ValueError):
            return dt.date.fromisoformat(value)
    raise UsageError(f"{shown}: waive_until={value!r}: expected a day such as '2027-03-31'")


def _variants(args: tuple[object, ...], *, known: list[str], shown: str) -> list[str]:
    for name in args:
        if not isinstance(name, str):
            advice = f"; write workload={name!r}" if hasattr(name, "metrics") else ""
            raise UsageError(
                f"{shown}: found {name!r} among the variants, expected names, as in "
                f"quant_budget('int8', 'int4', …){advice}"
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

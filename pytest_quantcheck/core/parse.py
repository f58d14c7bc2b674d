"""Strict reading of what a team wrote in a `quant_budget` marker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantcheck.core.budget import Budget, Gate
from pytest_quantcheck.core.grammar import parse_limit, suggestion
from pytest_quantcheck.core.limit import Statistic
from pytest_quantcheck.core.metric import METRICS
from pytest_quantcheck.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_quantcheck.core.budget import Location
    from pytest_quantcheck.core.limit import Limit
    from pytest_quantcheck.core.protocols import WorkloadLike


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
    tells_right = any(METRICS[name].is_correctness for name in workload.metrics)
    fits = limit.metric in workload.metrics if limit.metric else tells_right
    if not fits:
        raise UsageError(
            f"{shown}: {limit.keyword} needs {limit.metric or 'right and wrong answers'}, but "
            f"workload {workload.name} measures {', '.join(workload.metrics)}"
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

"""Which variant is the cheapest of those whose budgets are all shown."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from pytest_quantcheck.core.quantity import Unit, format_cost, format_count, format_quantity
from pytest_quantcheck.report.serving import shape_of
from pytest_quantcheck.report.sizes import weights_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_quantcheck.core.record import RunRecord
    from pytest_quantcheck.core.serving import LatencyRecord
    from pytest_quantcheck.report.serving import ServedShape

_PASS = "pass"  # noqa: S105 - an outcome, not a password


def cheapest_line(run: RunRecord) -> str:
    """Return the cheapest variant with every budget shown, or that there is none.

    Parameters
    ----------
    run : RunRecord
        Of one model, with its environment.

    Notes
    -----
    A budget is shown if it is a PASS. Budgets that were collected and not decided, in a test left
    out or in error, are not. Cheapest are the fewest weight bytes; where every such variant was
    timed at one shape or more and an hour of the device has a price, the lowest cost per million
    tokens, each variant at the shape where it is cheapest.
    """
    labels = {check.variant: check.variant_label for check in run.checks}
    if not labels or run.environment is None:
        return ""
    decided = Counter(check.variant for check in run.checks)
    asked = {**run.environment.budgets_collected}
    for name, count in decided.items():
        asked[name] = max(count, asked.get(name, 0))
    shown = Counter(check.variant for check in run.checks if check.outcome == _PASS)
    complete = [name for name in labels if shown[name] == asked[name]]
    if not complete:
        counts = ", ".join(f"{name} {shown[name]} of {asked[name]}" for name in asked)
        return f"no variant has every budget shown: {counts}"
    served = _cheapest_timings(run.latencies, [labels[name] for name in complete])
    costs = {label: _cost(one) for label, one in served.items()}
    weights = dict.fromkeys(labels.values(), math.inf) | weights_of(run)
    best = min(complete, key=lambda name: (costs.get(labels[name], 0), weights[labels[name]]))
    notes = [format_count(asked[best], "budget")]
    notes += [f"{name} has {n}" for name, n in asked.items() if n > asked[best]]
    notes += [f"{name} has none" for name in _without_budgets(run, asked, weights[labels[best]])]
    if served:
        notes.append(_cost_in_words(served[labels[best]]))
    return f"cheapest variant with every budget shown: {best} ({'; '.join(notes)})"


def _without_budgets(run: RunRecord, asked: Iterable[str], weight_bytes: float) -> list[str]:
    """Return the variants that are smaller, and that nobody asks anything of."""
    measured = {one.variant for one in run.measurements if one.weight_bytes < weight_bytes}
    return sorted(measured - {*asked})


def _cheapest_timings(
    latencies: Sequence[LatencyRecord], labels: Sequence[str]
) -> dict[str, LatencyRecord]:
    """Return where each variant costs least, among the shapes that all were timed at."""
    found: dict[str, dict[ServedShape, LatencyRecord]] = {label: {} for label in labels}
    for one in latencies:
        served = one.variant
        if served.variant_label in found and served.cost_per_million_tokens is not None:
            found[served.variant_label][shape_of(one)] = one
    common = set.intersection(*({*timings} for timings in found.values()))
    if not common:
        return {}
    return {
        label: min((timings[shape] for shape in common), key=_cost)
        for label, timings in found.items()
    }


def _cost(one: LatencyRecord) -> float:
    return one.variant.cost_per_million_tokens or 0.0


def _cost_in_words(one: LatencyRecord) -> str:
    """Return what the variant costs, and how many times the reference that was timed beside it.

    The table of variants may show the reference as timed beside another one.
    """
    ratio = format_quantity(1 / one.throughput_ratio.value, Unit.RATIO)
    label = one.reference.variant_label
    return f"{format_cost(_cost(one))} per million tokens, {ratio} times {label} beside it"

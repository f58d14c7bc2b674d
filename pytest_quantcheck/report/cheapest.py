"""Which variant is the cheapest of those whose budgets are all shown."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from pytest_quantcheck.core.quantity import format_cost
from pytest_quantcheck.report.serving import shape_of
from pytest_quantcheck.report.sizes import weights_of
from pytest_quantcheck.report.wording import budgets_in_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_quantcheck.core.record import RunRecord
    from pytest_quantcheck.core.serving import LatencyRecord, ServingRecord
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
    costs = _costs(run.latencies, [labels[name] for name in complete])
    weights = dict.fromkeys(labels.values(), math.inf) | weights_of(run)
    best = min(complete, key=lambda name: (costs.get(labels[name], 0), weights[labels[name]]))
    notes = [budgets_in_words(asked[best])]
    notes += [f"{name} has {n}" for name, n in asked.items() if n > asked[best]]
    notes += [f"{name} has none" for name in _without_budgets(run, asked, weights[labels[best]])]
    if costs:
        notes += _reference_cost(run, costs, labels[best])
    return f"cheapest variant with every budget shown: {best} ({'; '.join(notes)})"


def _without_budgets(run: RunRecord, asked: Iterable[str], weight_bytes: float) -> list[str]:
    """Return the variants that are smaller, and that nobody asks anything of."""
    measured = {one.variant for one in run.measurements if one.weight_bytes < weight_bytes}
    return sorted(measured - {*asked})


def _costs(latencies: Sequence[LatencyRecord], labels: Sequence[str]) -> dict[str, float]:
    """Return each variant's lowest cost among the shapes that all were timed at."""
    found: dict[str, dict[ServedShape, float]] = {label: {} for label in labels}
    for one in latencies:
        cost = one.variant.cost_per_million_tokens
        if one.variant.variant_label in found and cost is not None:
            found[one.variant.variant_label][shape_of(one)] = cost
    common = set.intersection(*({*costs} for costs in found.values()))
    if not common:
        return {}
    return {label: min(costs[shape] for shape in common) for label, costs in found.items()}


def _reference_cost(run: RunRecord, costs: dict[str, float], best: str) -> list[str]:
    """Return what the variant costs, and the reference where that costs less."""
    same = [one for one in run.latencies if _is(one.variant, best, costs[best])]
    notes = [f"{format_cost(costs[best])} per million tokens"]
    reference = min(
        (cost for one in same if (cost := one.reference.cost_per_million_tokens) is not None),
        default=costs[best],
    )
    if reference < costs[best]:
        notes.append(f"the reference costs {format_cost(reference)}")
    return notes


def _is(served: ServingRecord, label: str, cost: float) -> bool:
    return served.variant_label == label and served.cost_per_million_tokens == cost

"""Suggested budgets: a table, what it means, and markers to paste."""

from __future__ import annotations

import json
import keyword
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantcheck.core.quantity import Unit, format_count, format_limit, format_quantity
from pytest_quantcheck.report.screen import inert
from pytest_quantcheck.report.table import table_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantcheck.core.limit import Limit

_RIGHT = {"n", "clusters", "seen", "budget", "for PASS"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestedBudget:
    """One budget, or why there is none."""

    workload: str
    is_in_body: bool
    """Whether the test's body measures it, so that no marker names it."""
    variant: str
    variant_label: str
    keyword: str
    unit: Unit
    n: tuple[int, int]
    """Examples that proposed and that checked."""
    n_clusters: tuple[int, int] | None
    seen: float | None
    """On all examples, in `unit`; None where the limit says nothing of them."""
    limit: Limit | None
    """None: the examples bear none."""
    passing: Limit | None
    """What would PASS; None: nothing would."""
    outcome: str
    """Of the verdict on the half that did not propose it; empty without one."""
    is_marked: bool
    """Whether it stands in the marker to paste."""

    @property
    def is_confirmed(self) -> bool:
        """Whether there is one and the other half does not fail it."""
        return self.limit is not None and self.outcome != "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestionTerms:
    """What the budgets of one model were proposed for."""

    model: str
    reference_label: str
    false_alarm: float
    alpha: float
    family_size: int
    seed: int
    refused: tuple[str, ...]
    """Workloads with too few examples, with their numbers."""


def render_suggestions(budgets: Sequence[SuggestedBudget], terms: SuggestionTerms) -> list[str]:
    """Return the lines on one model."""
    title = f"suggested budgets · {terms.model} · {terms.reference_label} reference"
    lines = [inert(title), *_table(budgets)]
    lines += [inert(f" not suggested: {text}") for text in terms.refused]
    if not budgets:
        return lines
    return [*lines, "", *_explanation(budgets, terms), "", *_markers(budgets)]


def _table(budgets: Sequence[SuggestedBudget]) -> list[str]:
    if not budgets:
        return []
    rows = [_row(budget) for budget in budgets]
    has_clusters = any(budget.n_clusters for budget in budgets)
    columns = [name for name in rows[0] if name != "clusters" or has_clusters]
    return table_lines(rows, columns, right=_RIGHT)


def _row(budget: SuggestedBudget) -> dict[str, str]:
    unit = budget.unit
    return {
        "workload": budget.workload,
        "variant": budget.variant_label,
        "limit": budget.keyword,
        "n": _sum(budget.n),
        "clusters": _sum(budget.n_clusters) if budget.n_clusters else "-",
        "seen": "-" if budget.seen is None else format_quantity(budget.seen, unit),
        "budget": _shown(budget.limit, unit),
        "other half": budget.outcome.upper() or "-",
        "for PASS": _shown(budget.passing, unit),
    }


def _sum(counts: tuple[int, int]) -> str:
    return " + ".join(map(format_count, counts))


def _shown(limit: Limit | None, unit: Unit) -> str:
    return "none" if limit is None else format_limit(limit.value, unit)


def _explanation(budgets: Sequence[SuggestedBudget], terms: SuggestionTerms) -> list[str]:
    share = format_quantity(terms.false_alarm, Unit.FRACTION)
    alpha = f"alpha {terms.alpha:g} over a family of {terms.family_size}"
    n = max(sum(budget.n) for budget in budgets)
    lines = [
        f" budget: FAIL in at most {share} of the runs on as many other examples, each budget by",
        f"   itself, while nothing changes ({alpha}; a smaller family fails",
        "   more often). One half of the examples proposed it, the other half decided it. It is",
        f"   never tighter than what all of them show. Halves are drawn with seed {terms.seed}.",
        " for PASS: what would pass in about 80 % of those runs, as the strict gate asks.",
        f" Test these budgets on other examples than the {format_count(n)} (at most) they come",
        "   from: on the same ones a verdict repeats what was seen. A budget is a promise to",
        "   users: one they would not accept is too loose, whatever the model does today.",
    ]
    if any(budget.outcome == "fail" for budget in budgets):
        lines.append(" FAIL in the other half: the halves disagree, so there is no marker for it.")
    if any(budget.limit is None for budget in budgets):
        lines.append(" none: no test of these examples bears a budget; too few of them differ.")
    return lines


def _markers(budgets: Sequence[SuggestedBudget]) -> list[str]:
    """Return a marker for each variant of each workload."""
    grouped: dict[tuple[str, str], list[SuggestedBudget]] = {}
    for budget in budgets:
        if budget.is_marked and budget.is_confirmed:
            grouped.setdefault((budget.variant, budget.workload), []).append(budget)
    return [_marker(found) for found in grouped.values()]


def _marker(budgets: Sequence[SuggestedBudget]) -> str:
    """Return a marker with the budgets of one variant on one workload."""
    first = budgets[0]
    variant = json.dumps(first.variant, ensure_ascii=False)
    limits = [f"{one.keyword}={one.limit.value:.10g}" for one in budgets if one.limit]
    name = [] if first.is_in_body else [f"workload={_identifier(first.workload)}"]
    return f"@pytest.mark.quant_budget({', '.join([variant, *name, *limits])})"


def _identifier(name: str) -> str:
    """Return a workload's name as the variable that most probably holds it.

    Examples
    --------
    >>> _identifier("triage"), _identifier("triage-v2"), _identifier("2024"), _identifier("class")
    ('triage', 'triage_v2', '_2024', 'class_')
    """
    found = re.sub(r"\W", "_", name)
    found = f"_{found}" if found[:1].isdigit() or not found else found
    return f"{found}_" if keyword.iskeyword(found) else found

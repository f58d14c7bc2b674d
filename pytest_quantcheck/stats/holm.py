"""What Holm's test of the whole run adds to the verdicts, which no later one revokes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantcheck.core.supplements import HolmRecord
from pytest_quantcheck.core.verdict import Outcome, Reason
from pytest_quantcheck.stats.family import adjust_by_holm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantcheck.core.record import CheckRecord, EnvironmentRecord

_UNTESTED = {Reason.FEW_NONZERO_DIFFERENCES.value}
"""Reasons under which a p-value is none."""
_LISTED = {
    Reason.NOT_ENOUGH_EVIDENCE.value,
    Reason.SKEWED_BY_ONE.value,
    Reason.TOO_FEW_CLUSTERS.value,
    Reason.ZERO_LIMIT.value,
}
"""Reasons for INCONCLUSIVE under which a smaller p-value would have been a FAIL."""


def also_failing(
    checks: Sequence[CheckRecord], environments: Sequence[EnvironmentRecord]
) -> list[HolmRecord]:
    """Return the budgets that Holm's test shows to be over their limit though none is a FAIL.

    Budgets that were not decided, deselected ones or those after a crash, count with a p-value
    of 1: the family stays what it was when it was collected.
    """
    family = [check for check in checks if check.is_in_family]
    if not family:
        return []
    size = max(environment.family_size for environment in environments)
    alpha = min(environment.alpha for environment in environments)
    adjusted = adjust_by_holm([_p_fail(check) for check in family], size)
    return [
        HolmRecord(
            nodeid=check.nodeid,
            model=check.model,
            variant_label=check.variant_label,
            workload=check.workload,
            slice=check.slice,
            keyword=check.keyword,
            p_fail=_p_fail(check),
            p_adjusted=p_adjusted,
        )
        for check, p_adjusted in zip(family, adjusted, strict=True)
        if p_adjusted <= alpha and _is_open(check)
    ]


def _p_fail(check: CheckRecord) -> float:
    is_tested = check.p_fail is not None and check.reason not in _UNTESTED
    return check.p_fail if is_tested and check.p_fail is not None else 1.0


def _is_open(check: CheckRecord) -> bool:
    return check.outcome == Outcome.INCONCLUSIVE.value and check.reason in _LISTED

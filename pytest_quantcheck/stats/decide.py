"""The decision: what p-values, and data that admit no test, say about a limit."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_quantcheck.core.quantity import Unit, format_quantity
from pytest_quantcheck.core.verdict import Estimate, Outcome, Reason, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_quantcheck.core.verdict import Levels

MIN_EXAMPLES = 20
"""PASS needs as many."""
MIN_LOSSES = 5
"""FAIL with fewer than `MIN_EXAMPLES` needs as many."""
MIN_CLUSTERS = 5
"""PASS needs as many."""

_ENOUGH_CLUSTERS = 10
_MOST = 0.5
_ROUNDING = 1e-9
_ZERO_LIMIT_NOTE = "a limit of no degradation can't be shown by any number of examples; allow some"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a procedure found, larger meaning worse."""

    estimate: Estimate
    """In the unit of the limit."""
    degradation: float
    """The estimate on the scale of the procedure, where larger is worse."""
    allowed: float
    """The limit on the same scale; equal to it is within."""
    losses: int
    """Examples that speak against the variant."""
    allows_nothing: bool = False
    """Whether the limit is no degradation at all."""
    largest_share: float = 0.0
    """Part of all absolute differences that one example or cluster carries."""
    fewest: int = MIN_EXAMPLES
    """Examples that PASS needs; of runs the procedure has a rule of its own."""
    untested: Reason | None = None
    """Why no test applies; None where the p-values decide."""
    blocks_pass: Reason | None = None
    """Why no PASS may come, whatever its p-value."""
    plan: Callable[[], int | None] | None = None
    """Gives the examples needed for 80 % power at the estimate."""
    note: str = ""
    """What the procedure has to add."""
    chance: Callable[[float], float | None] | None = None
    """Gives the chance of FAIL where the truth is a value in the unit of the limit; None where the
    data do not tell."""


def on_these_examples(evidence: Evidence) -> Evidence:
    """Return the evidence as a claim about these examples only: the figure, and no test."""
    if evidence.untested is Reason.NON_FINITE:
        return evidence
    estimate = replace(
        evidence.estimate,
        low=math.nan,
        high=math.nan,
        p_pass=math.nan,
        p_fail=math.nan,
        n_clusters=None,
        design_effect=None,
        method="arithmetic on these examples",
    )
    return replace(
        evidence,
        estimate=estimate,
        largest_share=0.0,
        untested=Reason.ON_THESE_EXAMPLES,
        plan=None,
        note="",
    )


def decide(evidence: Evidence, *, levels: Levels) -> Verdict:
    """Return the verdict on one limit.

    Parameters
    ----------
    evidence : Evidence
        Estimate, limit and what else matters.
    levels : Levels
        PASS where p_pass is at most alpha_pass, FAIL where p_fail is at most alpha_fail.

    Returns
    -------
    Verdict
        With `needed_n` if it is INCONCLUSIVE and the procedure can plan.

    Raises
    ------
    ValueError
        Both tests reject: the p-values contradict each other.

    Notes
    -----
    PASS needs 20 examples and 5 clusters. FAIL below 20 examples needs 5 losses: the exact test
    of a share of 1 % would reject on a single hit in a single example.
    """
    if evidence.untested is not None:
        outcome, reason = _apply_rule(evidence, evidence.untested)
    else:
        outcome, reason = _compare(evidence, levels)
    is_open = outcome is Outcome.INCONCLUSIVE
    return Verdict(
        outcome=outcome,
        reason=reason,
        estimate=evidence.estimate,
        levels=levels,
        needed_n=evidence.plan() if is_open and evidence.plan is not None else None,
        note="; ".join(_notes(evidence, reason)),
    )


def _apply_rule(evidence: Evidence, reason: Reason) -> tuple[Outcome, Reason]:
    """Decide where no test applies."""
    match reason:
        case Reason.NON_FINITE:
            return Outcome.FAIL, reason
        case Reason.TRIVIAL_LIMIT:
            return Outcome.PASS, reason
        case Reason.EXACT | Reason.ON_THESE_EXAMPLES:
            return _side(evidence), reason
        case Reason.IDENTICAL_SCORES | Reason.CONSTANT_DIFFERENCE:
            return _apply_sameness(evidence, reason)
        case _:
            return Outcome.INCONCLUSIVE, reason


def _apply_sameness(evidence: Evidence, reason: Reason) -> tuple[Outcome, Reason]:
    """Decide where all examples agree on one difference, and its scale has no bounds."""
    blocked = _find_shortage(evidence)
    if blocked is not None:
        return Outcome.INCONCLUSIVE, blocked
    if reason is Reason.IDENTICAL_SCORES and evidence.allowed <= 0:
        return Outcome.INCONCLUSIVE, Reason.ZERO_LIMIT
    return _side(evidence), reason


def _side(evidence: Evidence) -> Outcome:
    slack = _ROUNDING if evidence.untested is Reason.ON_THESE_EXAMPLES else 0.0
    return Outcome.PASS if evidence.degradation <= evidence.allowed + slack else Outcome.FAIL


def _compare(evidence: Evidence, levels: Levels) -> tuple[Outcome, Reason]:
    """Decide by the p-values."""
    estimate = evidence.estimate
    shows_within = estimate.p_pass <= levels.alpha_pass
    shows_over = estimate.p_fail <= levels.alpha_fail
    if shows_within and shows_over:
        raise ValueError(f"both tests reject, which valid p-values cannot: {estimate} at {levels}")
    shortage = _find_shortage(evidence)
    if shows_within and shortage is None:
        shortage = evidence.blocks_pass
    if shows_within and shortage is None:
        return Outcome.PASS, Reason.SHOWN_WITHIN
    if shows_over and (estimate.n >= MIN_EXAMPLES or evidence.losses >= MIN_LOSSES):
        return Outcome.FAIL, Reason.SHOWN_OVER
    if shortage is not None:
        return Outcome.INCONCLUSIVE, shortage
    if evidence.allows_nothing:
        return Outcome.INCONCLUSIVE, Reason.ZERO_LIMIT
    if evidence.largest_share > _MOST:
        return Outcome.INCONCLUSIVE, Reason.SKEWED_BY_ONE
    return Outcome.INCONCLUSIVE, Reason.NOT_ENOUGH_EVIDENCE


def _find_shortage(evidence: Evidence) -> Reason | None:
    """Return what there is too little of for PASS."""
    estimate = evidence.estimate
    if estimate.n < evidence.fewest:
        return Reason.TOO_FEW_EXAMPLES
    if estimate.n_clusters is not None and estimate.n_clusters < MIN_CLUSTERS:
        return Reason.TOO_FEW_CLUSTERS
    return None


def _notes(evidence: Evidence, reason: Reason) -> list[str]:
    """Return what the reader should know beside the reason."""
    n, n_clusters = evidence.estimate.n, evidence.estimate.n_clusters
    notes = [evidence.note] if evidence.note else []
    if reason is Reason.TOO_FEW_EXAMPLES:
        notes.append(f"PASS needs {MIN_EXAMPLES} examples, there are {n}")
    if reason is Reason.TOO_FEW_CLUSTERS:
        notes.append(f"PASS needs {MIN_CLUSTERS} clusters, there are {n_clusters}")
    elif n_clusters is not None and n_clusters < _ENOUGH_CLUSTERS:
        notes.append(f"there are {n_clusters} clusters only: expect a wide interval")
    if reason is Reason.ZERO_LIMIT:
        notes.append(_ZERO_LIMIT_NOTE)
    if evidence.largest_share > _MOST:
        share = format_quantity(evidence.largest_share, Unit.FRACTION)
        notes.append(f"one example or cluster carries {share} of all differences")
    return notes

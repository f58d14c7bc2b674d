"""The record of a check, from its verdict and what was measured."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_quantcheck.core.budget import Target
from pytest_quantcheck.core.metric import compares_models
from pytest_quantcheck.core.quantity import Unit
from pytest_quantcheck.core.record import CheckRecord
from pytest_quantcheck.plugin.gallery import examine_changes
from pytest_quantcheck.plugin.tokens import divergence_record, text_loss_record
from pytest_quantcheck.stats.mcnemar import mcnemar_p

if TYPE_CHECKING:
    from pytest_quantcheck.core.budget import Budget
    from pytest_quantcheck.core.verdict import Estimate, Verdict
    from pytest_quantcheck.measure.measurement import Measurement
    from pytest_quantcheck.plugin.evaluate import Pair, Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """The figures of a check that its verdict does not hold."""

    metric: str
    level_unit: Unit
    reference_level: float
    variant_level: float
    noise_floor: float | None = None


def check_record(
    budget: Budget, pair: Pair, *, verdict: Verdict, about: About, terms: Terms
) -> CheckRecord:
    """Return the record of one budget with its verdict."""
    limit, where = budget.limit, budget.location
    measured = pair.variant.measurement if limit.is_statistical else None
    is_loss = about.level_unit is Unit.PERPLEXITY
    changes = examine_changes(pair.reference.measurement, measured, about.metric)
    return CheckRecord(
        nodeid=where.nodeid,
        path=where.path,
        line=where.line,
        model=pair.variant.model,
        variant=budget.variant,
        variant_label=pair.variant.label,
        reference_label=pair.reference.label,
        workload=measured.workload_name if measured else "",
        slice=budget.slice,
        metric=about.metric,
        keyword=limit.keyword,
        statistic=limit.statistic.value,
        bound=limit.bound.value,
        limit=limit.value,
        unit=limit.unit.value,
        level_unit=about.level_unit.value,
        reference_level=about.reference_level,
        variant_level=about.variant_level,
        **estimated(verdict.estimate),
        alpha_pass=verdict.levels.alpha_pass,
        alpha_fail=verdict.levels.alpha_fail,
        outcome=verdict.outcome.value,
        reason=verdict.reason.value,
        note=verdict.note,
        needed_n=verdict.needed_n,
        power=verdict.power,
        power_at=verdict.power_at,
        gate=terms.gate.value,
        target=terms.target.value,
        is_statistical=limit.is_statistical and terms.target is Target.POPULATION,
        is_in_family=terms.is_in_family,
        waive_until=budget.waive_until.isoformat() if budget.waive_until else None,
        is_waived=terms.is_waived,
        budget_reason=budget.reason,
        fingerprint=measured.fingerprint if measured else "",
        prompt_fingerprint=measured.prompt_fingerprint if measured else "",
        worst=list(changes.shown),
        are_blocks=measured is not None and _has_blocks(measured, about.metric),
        n_planned=None,
        stopped_early=False,
        n_worse=changes.n_worse,
        n_better=changes.n_better,
        slices=list(changes.slices),
        reference_text_loss=text_loss_record(pair.reference.measurement) if is_loss else None,
        variant_text_loss=text_loss_record(measured) if is_loss else None,
        divergence=divergence_record(measured) if compares_models(about.metric) else None,
        n_diverged=changes.n_diverged,
        mean_first_divergence=changes.mean_first_divergence,
        noise_floor=about.noise_floor,
        examples=pair.examples if measured else None,
    )


def _has_blocks(measured: Measurement, metric: str) -> bool:
    return len(measured.scores[metric].ids) > len(measured.examples)


def estimated(estimate: Estimate) -> dict[str, Any]:
    """Return the fields of a record that a procedure fills; what does not exist is None."""
    has_p = estimate.n_clusters is None and not math.isnan(estimate.p_fail)
    counts = dict(estimate.counts)
    flips = (counts["losses"], counts["gains"]) if "losses" in counts and has_p else None
    return {
        "value": estimate.value,
        "low": _known(estimate.low),
        "high": _known(estimate.high),
        "confidence_level": estimate.confidence_level,
        "p_pass": _known(estimate.p_pass),
        "p_fail": _known(estimate.p_fail),
        "n": estimate.n,
        "n_clusters": estimate.n_clusters,
        "design_effect": estimate.design_effect,
        "counts": counts,
        "mcnemar_p": mcnemar_p(*flips) if flips else None,
        "method": estimate.method,
    }


def _known(number: float) -> float | None:
    return None if math.isnan(number) else number

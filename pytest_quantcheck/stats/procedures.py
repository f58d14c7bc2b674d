"""The entry: from a limit and the scores of reference and variant to a verdict."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_quantcheck.core.budget import Gate, Target
from pytest_quantcheck.core.limit import Statistic
from pytest_quantcheck.core.metric import METRICS
from pytest_quantcheck.core.verdict import Estimate, Reason
from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.stats.decide import Evidence, decide, on_these_examples
from pytest_quantcheck.stats.divergence import examine_divergence
from pytest_quantcheck.stats.evidence import (
    examine_difference,
    examine_flips,
    examine_level,
    examine_log_ratio,
)
from pytest_quantcheck.stats.paired import align, check_reference, check_scores
from pytest_quantcheck.stats.recovery import examine_recovery
from pytest_quantcheck.stats.teeth import alternative

if TYPE_CHECKING:
    from pytest_quantcheck.core.limit import Limit
    from pytest_quantcheck.core.verdict import Levels, Verdict
    from pytest_quantcheck.stats.scores import ExampleScores


_COMPARISONS = {
    Statistic.DROP: examine_difference,
    Statistic.RISE: examine_difference,
    Statistic.RECOVERY: examine_recovery,
    Statistic.LOG_RATIO: examine_log_ratio,
    Statistic.FLIPS: examine_flips,
    Statistic.HARMFUL_FLIPS: examine_flips,
}
"""What each statistic of reference and variant asks of their pairs."""


def judge(
    limit: Limit,
    reference: ExampleScores,
    *,
    variant: ExampleScores,
    levels: Levels,
    target: Target = Target.POPULATION,
    gate: Gate = Gate.STRICT,
) -> Verdict:
    """Return the verdict on one limit.

    Parameters
    ----------
    limit : Limit
        A statistical limit.
    reference, variant : ExampleScores
        The same metric on the same examples, in any order. A limit on one level looks at one.
    levels : Levels
        Error rates of this decision.
    target : Target
        DATASET: a claim about these examples only, PASS where the figure itself is within the
        limit (by 1e-9), without interval or p-values.
    gate : Gate
        How much skewness a PASS on a mean divergence may have: see `skewed_mean`.

    Returns
    -------
    Verdict
        Estimate and interval are in the unit of the limit.

    Raises
    ------
    UsageError
        The limit has no meaning for this metric.
    UnpairedScoresError, MeasurementError
        See `paired.align`.
    """
    evidence = examine(limit, reference, variant=variant, levels=levels, gate=gate)
    if target is Target.DATASET:
        return decide(on_these_examples(evidence), levels=levels)
    return settle(limit, evidence, bounds=variant.bounds, levels=levels)


def settle(
    limit: Limit, evidence: Evidence, *, bounds: tuple[float, float] | None, levels: Levels
) -> Verdict:
    """Return the verdict on a population, with the chance of FAIL at a gross excess."""
    verdict = decide(evidence, levels=levels)
    excess = alternative(limit, bounds)
    if excess is None or evidence.chance is None:
        return verdict
    return replace(verdict, power=evidence.chance(excess), power_at=excess)


def examine(
    limit: Limit,
    reference: ExampleScores,
    *,
    variant: ExampleScores,
    levels: Levels,
    gate: Gate = Gate.STRICT,
) -> Evidence:
    """Return what `judge` decides by."""
    if math.isnan(limit.value):
        raise UsageError(f"{limit.keyword} is NaN; give a number")
    if METRICS[variant.metric].is_of_pair:
        return examine_divergence(limit, variant, levels=levels, gate=gate)
    if limit.statistic in _COMPARISONS:
        return _COMPARISONS[limit.statistic](limit, align(reference, variant), levels=levels)
    if limit.statistic is Statistic.VARIANT_LEVEL:
        return examine_level(limit, check_scores(variant, role="variant"), levels=levels)
    if limit.statistic is Statistic.REFERENCE_LEVEL:
        return examine_level(limit, check_reference(reference), levels=levels)
    raise UsageError(f"{limit.keyword} compares weights, not scores")


def judge_weight_ratio(
    limit: Limit, reference_bytes: int, *, variant_bytes: int, levels: Levels
) -> Verdict:
    """Return the verdict on the size of the weights, which is compared exactly.

    Parameters
    ----------
    limit : Limit
        Largest allowed ratio.
    reference_bytes, variant_bytes : int
        Weights as stored; the reference's above 0.
    levels : Levels
        Kept with the verdict; no error is possible.

    Raises
    ------
    MeasurementError
        The reference has no bytes.
    """
    if reference_bytes <= 0:
        raise MeasurementError(
            f"the reference has {reference_bytes} bytes of weights; expected some"
        )
    return compare_exactly(limit, variant_bytes / reference_bytes, levels=levels)


def compare_exactly(limit: Limit, value: float, *, levels: Levels) -> Verdict:
    """Return the verdict on a value without sampling error, larger meaning worse."""
    estimate = Estimate(
        value=value,
        low=value,
        high=value,
        confidence_level=levels.confidence_level,
        p_pass=float(value > limit.value),
        p_fail=float(value <= limit.value),
        n=0,
        n_clusters=None,
        method="exact comparison",
    )
    evidence = Evidence(
        estimate=estimate,
        degradation=value,
        allowed=float(limit.value),
        losses=0,
        untested=Reason.EXACT,
    )
    return decide(evidence, levels=levels)

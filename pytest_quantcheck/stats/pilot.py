"""What an earlier run tells about the examples of a budget."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scipy import special

from pytest_quantcheck.core.limit import Statistic
from pytest_quantcheck.core.metric import METRICS, Scale
from pytest_quantcheck.core.verdict import Outcome
from pytest_quantcheck.stats.inversion import student_quantile
from pytest_quantcheck.stats.plan import FLIPS, REFERENCE_LEVEL, Assumptions, Plan
from pytest_quantcheck.stats.teeth import alternative

if TYPE_CHECKING:
    from pytest_quantcheck.core.limit import Limit
    from pytest_quantcheck.core.supplements import PilotRecord
    from pytest_quantcheck.core.verdict import Levels

_CONFIDENCE = 0.8


def learn(limit: Limit, pilot: PilotRecord, *, bounds: tuple[float, float] | None) -> Assumptions:
    """Return what a run tells of the examples of its budget.

    Parameters
    ----------
    limit : Limit
        The budget's.
    pilot : PilotRecord
        What was found on at least one example.
    bounds : pair of float, or None
        Of the scores.

    Notes
    -----
    A pilot is a sample: the share of flips and the spread are taken at their upper 80 % confidence
    limits (Clopper and Pearson's, and that of the chi-squared distribution). Flips that are shown
    to be net loss, or net gain, do not count: plans ask what a budget shows of another loss. The
    spread and the design effect are read from the interval, as the error behind it; not where the
    verdict came early, as such an interval is wider.
    """
    size = pilot.n / pilot.n_clusters if pilot.n_clusters else 1.0
    if limit.metric is None or METRICS[limit.metric].scale is Scale.BINARY:
        return Assumptions(
            flips=_flips(limit, pilot),
            reference_level=pilot.reference_level or REFERENCE_LEVEL,
            cluster_size=size,
            design_effect=_design_effect(limit, pilot),
        )
    is_of_tokens = METRICS[limit.metric].scale is Scale.NLL
    return Assumptions(
        spread=_spread(pilot, is_of_tokens=is_of_tokens),
        bounds=bounds,
        cluster_size=size,
        design_effect=1.0,
    )


def foreseen_chance(
    limit: Limit,
    pilot: PilotRecord,
    *,
    levels: Levels,
    n: int,
    bounds: tuple[float, float] | None,
) -> float | None:
    """Return the chance of FAIL at a gross excess of the limit; None where there is no scale.

    Parameters
    ----------
    limit, pilot, bounds
        As for `learn`.
    levels : Levels
        Error rates of the decision.
    n : int
        Examples like those of the pilot.
    """
    gross = alternative(limit, bounds)
    if gross is None:
        return None
    plan = Plan(limit=limit, levels=levels, assuming=learn(limit, pilot, bounds=bounds))
    return plan.chance(Outcome.FAIL, n=n, true=gross)


def _flips(limit: Limit, pilot: PilotRecord) -> float:
    """Return the upper limit of the share of examples that change beside a net loss or gain."""
    if "losses" not in pilot.counts:
        return FLIPS
    flips = pilot.counts["losses"] + pilot.counts["gains"] - _shown_net(limit, pilot)
    if flips >= pilot.n:
        return 1.0
    return float(special.betaincinv(flips + 1, pilot.n - flips, _CONFIDENCE))


def _shown_net(limit: Limit, pilot: PilotRecord) -> int:
    """Return how many of the flips the interval shows to be net loss, or net gain."""
    low, high = pilot.low, pilot.high
    if not limit.statistic.is_difference or low is None or high is None:
        return 0
    return math.floor(max(low, -high, 0.0) * pilot.n)


def _design_effect(limit: Limit, pilot: PilotRecord) -> float | None:
    """Return how much wider clusters make the interval; None where it does not tell."""
    error = _error(pilot, is_of_tokens=False)
    if pilot.n_clusters is None or error is None:
        return None
    value = pilot.value
    if limit.statistic.is_difference and "losses" in pilot.counts:
        flips = (pilot.counts["losses"] + pilot.counts["gains"]) / pilot.n
        alone = flips - value**2
    elif limit.statistic is Statistic.RECOVERY:
        return None
    else:
        alone = value * (1 - value)
    return max(1.0, error**2 * pilot.n / alone) if alone > 0 else None


def _spread(pilot: PilotRecord, *, is_of_tokens: bool) -> float | None:
    """Return the upper limit of the spread over examples; None where no interval tells."""
    error = _error(pilot, is_of_tokens=is_of_tokens)
    if error is None:
        return None
    df = (pilot.n_clusters or pilot.n) - 1
    return error * math.sqrt(pilot.n * df / float(special.chdtri(df, _CONFIDENCE)))


def _error(pilot: PilotRecord, *, is_of_tokens: bool) -> float | None:
    """Return the standard error behind the interval."""
    low, high, df = pilot.low, pilot.high, (pilot.n_clusters or pilot.n) - 1
    if pilot.stopped_early or low is None or high is None:
        return None
    if df < 1 or not math.isfinite(high - low):
        return None
    if is_of_tokens:
        low, high = (math.log(edge) if edge > 0 else -math.inf for edge in (low, high))
    alpha = (1 - pilot.confidence_level) / 2
    error = (high - low) / 2 / student_quantile(alpha, df=df)
    return error if 0 < error < math.inf else None

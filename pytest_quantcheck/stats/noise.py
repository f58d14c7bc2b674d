"""How far a model differs from itself, and verdicts that do not rise above it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pytest_quantcheck.core.limit import Bound, Statistic
from pytest_quantcheck.core.verdict import Levels, Outcome, Reason
from pytest_quantcheck.stats.means import MeanQuestion, examine_mean
from pytest_quantcheck.stats.paired import align
from pytest_quantcheck.stats.shares import ShareQuestion, examine_share

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_quantcheck.core.limit import Limit
    from pytest_quantcheck.core.verdict import Estimate, Verdict
    from pytest_quantcheck.stats.paired import PairedScores
    from pytest_quantcheck.stats.scores import ExampleScores

_TESTED = {Reason.SHOWN_OVER, Reason.CONSTANT_DIFFERENCE}
"""Reasons of a FAIL that measuring again might take back."""
_HALF = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """What one model scored twice, in packs of different sizes."""

    n: int
    n_different: int
    """Examples whose value differs; of right and wrong answers, flips."""
    difference: float
    """Mean of second minus first: a share, a score, or nats per token (word, byte)."""
    most: float
    """Upper limit of the mean absolute difference: as far as noise may move a mean."""


def measure_noise(
    first: ExampleScores, second: ExampleScores, *, alpha: float, is_identical: bool
) -> Noise:
    """Return how far two measurements of one model differ.

    Parameters
    ----------
    first, second : ExampleScores
        One metric of one variant on the same examples.
    alpha : float
        Chance that the limit is too low, in (0, 0.5).
    is_identical : bool
        Whether everything that was measured agrees bit for bit: then the limit is 0. Equal
        answers alone do not show that, as the numbers behind them may differ.

    Notes
    -----
    No mean can move by more than the mean absolute difference. Its limit is Clopper and Pearson's
    for right and wrong answers, else that of the mean (bets where few bounded scores differ; the
    largest difference where few unbounded ones do, on which no test holds).
    """
    pairs = align(first, second)
    differences = pairs.variant - pairs.reference
    return Noise(
        n=pairs.n,
        n_different=int(np.count_nonzero(differences)),
        difference=math.fsum(differences) / math.fsum(pairs.weights),
        most=0.0 if is_identical else _upper_limit(pairs, np.abs(differences), alpha),
    )


def floor_of(limit: Limit, noise: Noise, *, reference_level: float) -> float | None:
    """Return the largest degradation that may be noise, in the unit of the limit.

    Returns
    -------
    float or None
        None where the limit is on a level by itself, which compares nothing.
    """
    match limit.statistic:
        case found if found.is_difference or found.is_flips:
            return noise.most
        case Statistic.LOG_RATIO:
            return math.exp(noise.most)
        case Statistic.VARIANT_LEVEL if limit.metric == "mean_kl":
            return noise.most
        case Statistic.RECOVERY if reference_level > 0:
            return max(0.0, 1 - noise.most / reference_level)
    return None


def hold_back(verdict: Verdict, *, floor: float | None, bound: Bound) -> Verdict:
    """Return the verdict, INCONCLUSIVE if it is a FAIL whose interval reaches into the noise.

    Parameters
    ----------
    verdict : Verdict
        Of a limit with this `bound`.
    floor : float or None
        Of `floor_of`; None where none was measured.
    """
    if floor is None or verdict.outcome is not Outcome.FAIL or verdict.reason not in _TESTED:
        return verdict
    if _is_beyond(verdict.estimate, floor, bound):
        return verdict
    return replace(verdict, outcome=Outcome.INCONCLUSIVE, reason=Reason.BELOW_NOISE_FLOOR)


def _is_beyond(estimate: Estimate, floor: float, bound: Bound) -> bool:
    return estimate.low > floor if bound is Bound.UPPER else estimate.high < floor


def _upper_limit(pairs: PairedScores, differences: NDArray[np.float64], alpha: float) -> float:
    levels = Levels(alpha_pass=alpha, alpha_fail=alpha)
    if pairs.is_binary:
        share = ShareQuestion(
            hits=differences > 0,
            clusters=pairs.clusters,
            limit=_HALF,
            bound=Bound.UPPER,
            levels=levels,
        )
        return examine_share(share).estimate.high
    bounds = pairs.bounds
    reach = None if bounds is None else float(bounds[1] - bounds[0])
    question = MeanQuestion(
        values=differences,
        weights=pairs.weights,
        clusters=pairs.clusters,
        limit=_HALF * (reach or 1.0),
        reach=reach,
        losses=0,
        counts_ties=False,
        compares=True,
        levels=levels,
    )
    high = examine_mean(question).estimate.high
    return high if math.isfinite(high) else float(np.max(differences / pairs.weights))

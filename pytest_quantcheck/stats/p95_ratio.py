"""Bootstrap of a ratio of tail latencies; for limits on a p95 ratio, variant over reference."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_quantcheck.core.verdict import Estimate
from pytest_quantcheck.errors import MeasurementError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_quantcheck.core.verdict import Levels

MIN_PAIRS = 100
"""Pairs that the bootstrap of a p95 takes."""

_QUANTILE = 0.95
_MIN_RESAMPLES = 2000
_RESAMPLES_BEYOND = 20
_DRAWS_AT_ONCE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairedSeconds:
    """Times of the same requests, or of neighbouring runs, by both models."""

    reference: NDArray[np.float64]
    """(n,) finite, above 0."""
    variant: NDArray[np.float64]
    """(n,) finite, above 0, in the same order."""


def estimate_p95_ratio(
    pairs: PairedSeconds, *, limit: float, levels: Levels, rng: np.random.Generator
) -> Estimate:
    """Return the ratio of both p95 with its interval, and p-values of "it is at most `limit`".

    Parameters
    ----------
    pairs : PairedSeconds
        Without the warm-up; pairs independent of one another.
    limit : float
        Variant over reference, above 0.
    levels : Levels
        The interval has level 1 - 2·alpha_pass.
    rng : np.random.Generator
        The same seed and pairs, in any order, give the same estimate.

    Raises
    ------
    UsageError
        The limit is not above 0, or there are fewer than 100 pairs.
    MeasurementError
        The pairs are incomplete, or a time is not a finite number above 0.

    Notes
    -----
    Pairs are drawn with replacement, so what slows both runs of a pair stays together. The p-value
    for PASS is the share of resampled ratios of at least the limit, the one as measured counted
    with them; that for FAIL alike. There are 2,000 resamples, or 20 divided by the smaller level
    if those are more. The interval is of percentiles and holds the limits that neither test
    rejects. The level is kept for many pairs only; its error at 100 and more is measured.

    References
    ----------
    B. Efron, R. J. Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13: percentile
    intervals. A. C. Davison, D. V. Hinkley, "Bootstrap Methods and their Application" (1997),
    equation 4.11: the p-value. Agrees with `scipy.stats.bootstrap` within the error of resampling,
    and with all 4⁴ resamples of four pairs.
    """
    if not 0 < limit < math.inf:
        raise UsageError(f"the p95 ratio is limited to {limit}; give a number above 0")
    _check(pairs)
    n, alpha = pairs.reference.size, levels.alpha_pass
    n_resamples = max(_MIN_RESAMPLES, math.ceil(_RESAMPLES_BEYOND / min(alpha, levels.alpha_fail)))
    ratios = np.sort(resample_p95_ratios(pairs, n_resamples=n_resamples, rng=rng))
    # (1 + as extreme)/(1 + n_resamples) is at most alpha with no more than so many of them.
    allowed = math.floor(alpha * (n_resamples + 1) + 1e-9) - 1
    return Estimate(
        value=float(_p95(pairs.variant) / _p95(pairs.reference)),
        low=float(ratios[allowed]),
        high=float(ratios[-1 - allowed]),
        confidence_level=1 - 2 * alpha,
        p_pass=(1 + int(np.count_nonzero(ratios >= limit))) / (1 + n_resamples),
        p_fail=(1 + int(np.count_nonzero(ratios <= limit))) / (1 + n_resamples),
        n=n,
        n_clusters=None,
        method=f"paired percentile bootstrap, {n_resamples:,} resamples",
    )


def resample_p95_ratios(
    pairs: PairedSeconds, *, n_resamples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return (n_resamples,) ratios of both p95, each of as many pairs drawn with replacement."""
    order = np.lexsort((pairs.reference, pairs.variant))
    reference, variant = pairs.reference[order], pairs.variant[order]
    n = reference.size
    # Small integers are drawn and partitioned many times faster than times.
    dtype = np.int16 if n <= np.iinfo(np.int16).max else np.int64
    by_reference = np.argsort(reference, stable=True)
    ranks = np.empty(n, dtype=dtype)
    ranks[by_reference] = np.arange(n)
    at_once = max(1, _DRAWS_AT_ONCE // n)
    ratios = []
    for start in range(0, n_resamples, at_once):
        drawn = rng.integers(n, size=(min(at_once, n_resamples - start), n), dtype=dtype)
        ratios.append(variant[_p95(drawn)] / reference[by_reference[_p95(ranks[drawn])]])
    return np.concatenate(ratios)


def _p95(values: NDArray[Any]) -> NDArray[Any]:
    """Return the p95 of each row: the smallest value that 95 % of them do not exceed."""
    rank = math.ceil(_QUANTILE * values.shape[-1] - 1e-9) - 1
    return np.asarray(np.partition(values, rank, axis=-1)[..., rank])


def _check(pairs: PairedSeconds) -> None:
    n = pairs.reference.size
    if pairs.variant.size != n:
        raise MeasurementError(
            f"{n} times of the reference and {pairs.variant.size} of the variant are no pairs; "
            "each run needs one of both models"
        )
    if n < MIN_PAIRS:
        raise UsageError(f"{n} pairs of runs: a p95 ratio takes {MIN_PAIRS} or more")
    for model, seconds in (("reference", pairs.reference), ("variant", pairs.variant)):
        wrong = np.flatnonzero(~(seconds > 0) | np.isinf(seconds))
        if wrong.size:
            raise MeasurementError(
                f"run {wrong[0]} of the {model} took {seconds[wrong[0]]} seconds, where a finite "
                "time above 0 was expected; measure the pair again"
            )

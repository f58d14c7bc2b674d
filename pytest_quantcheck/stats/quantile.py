"""Quantiles against a limit; for limits on the p99 of a divergence, or of latencies in seconds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from pytest_quantcheck.core.verdict import Estimate
from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.stats.inversion import Interval
from pytest_quantcheck.stats.proportion import p_at_least, p_at_most

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_quantcheck.core.verdict import Levels


def examples_for_quantile(quantile: float, *, alpha: float, over: int = 0) -> int:
    """Return the fewest examples that show PASS although `over` of them exceed the limit.

    Parameters
    ----------
    quantile : float
        In (0, 1): 0.99 is the p99.
    alpha : float
        Level of the test, in (0, 1).
    over : int
        Examples above the limit.

    Notes
    -----
    P(Bin(n, 1 - quantile) ≤ over) falls with n; with none over the limit the answer is
    ln(alpha)/ln(quantile), rounded up.

    References
    ----------
    Agrees with the numbers of queries that LoadGen of MLPerf Inference asks for
    (`early_stopping.cc`, alpha 0.01): 64 for the p90 and 662 for the p99 with one above.

    Examples
    --------
    >>> [examples_for_quantile(quantile, alpha=0.05) for quantile in (0.5, 0.95, 0.99)]
    [5, 59, 299]
    """
    _check_quantile(quantile)
    too_few, enough = over, 2 * over + 1
    while p_at_most(over, enough, share=1 - quantile) > alpha:
        too_few, enough = enough, 2 * enough
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if p_at_most(over, middle, share=1 - quantile) > alpha:
            too_few = middle
        else:
            enough = middle
    return enough


def quantile_interval(values: NDArray[np.float64], *, quantile: float, alpha: float) -> Interval:
    """Return the limits that neither test rejects at level `alpha`, ends included.

    Parameters
    ----------
    values : NDArray[np.float64]
        (n,) without NaN.
    quantile, alpha : float, float
        As for `examples_for_quantile`.

    Returns
    -------
    Interval
        Two of the values; infinite where there are too few for an end.

    Notes
    -----
    `most` is the largest number over the limit that still shows PASS. A limit is shown as soon as
    no more values lie above it: from the value on that has `most` above. FAIL alike.

    References
    ----------
    W. J. Conover, "Practical Nonparametric Statistics", 3rd ed. (1999), section 3.2. The counts
    agree with a search through all of them, the coverage with enumeration.
    """
    ordered, n, share = np.sort(values), values.size, 1 - quantile
    counts = np.arange(n + 1, dtype=np.float64)
    most = int(np.count_nonzero(special.bdtr(counts, n, share) <= alpha)) - 1
    fewest = n + 1 - int(np.count_nonzero(special.bdtrc(counts[:-1], n, share) <= alpha))
    return Interval(
        low=float(ordered[n - fewest]) if fewest <= n else -math.inf,
        high=float(ordered[n - 1 - most]) if most >= 0 else math.inf,
    )


def estimate_quantile(
    values: NDArray[np.float64], *, quantile: float, limit: float, levels: Levels
) -> Estimate:
    """Return a quantile with its exact interval, and p-values of "it is at most `limit`".

    Parameters
    ----------
    values : NDArray[np.float64]
        (n,) one for each independent example; infinite ones count as over any limit. n at least 1.
    quantile : float
        In (0, 1): 0.99 is the p99.
    limit : float
        In the unit of the values; a value equal to it is within.
    levels : Levels
        The interval has level 1 - 2·alpha_pass.

    Raises
    ------
    UsageError
        `quantile` is not in (0, 1).
    MeasurementError
        There are no values, or a value is NaN.

    Notes
    -----
    The quantile is at most the limit where at most a share 1 - quantile exceeds it, so the number
    over the limit is compared with a binomial distribution. Nothing else is assumed of the values;
    ties make the test stricter. Tokens of one text, or latencies that rise and fall together, are
    not independent: give one value for each text or block.

    References
    ----------
    Exact binomial test; agrees with `scipy.stats.binomtest` and `scipy.stats.quantile_test`.

    Examples
    --------
    >>> import numpy as np
    >>> from pytest_quantcheck.stats.family import levels
    >>> found = estimate_quantile(
    ...     np.arange(100.0), quantile=0.9, limit=95.0, levels=levels(0.05, 1)
    ... )
    >>> found.value, found.low, found.high, found.counts["over"], round(found.p_pass, 4)
    (89.0, 84.0, 95.0, 4, 0.0237)
    """
    _check_quantile(quantile)
    n = values.size
    unknown = np.flatnonzero(np.isnan(values))
    if n == 0 or unknown.size:
        found = f"value {unknown[0]} of {n} is NaN" if n else "there are no values"
        raise MeasurementError(f"{found}; a quantile needs a number from every example")
    over = int(np.count_nonzero(values > limit))
    interval = quantile_interval(values, quantile=quantile, alpha=levels.alpha_pass)
    return Estimate(
        value=float(np.quantile(values, quantile, method="inverted_cdf")),
        low=interval.low,
        high=interval.high,
        confidence_level=1 - 2 * levels.alpha_pass,
        p_pass=p_at_most(over, n, share=1 - quantile),
        p_fail=p_at_least(over, n, share=1 - quantile),
        n=n,
        n_clusters=None,
        method="exact binomial test of the values over the limit (order-statistic interval)",
        counts={"over": over},
    )


def estimate_latency_quantile(
    seconds: NDArray[np.float64], *, quantile: float, limit: float, levels: Levels
) -> Estimate:
    """Return a percentile of latencies, unless there are too few runs to show it.

    Parameters
    ----------
    seconds : NDArray[np.float64]
        (n,) of independent runs; infinite where a run timed out.
    quantile, limit, levels : float, float, Levels
        As for `estimate_quantile`; the limit in seconds.

    Raises
    ------
    UsageError
        Even with no run over the limit nothing could be shown: an interval without an upper end
        is no statement about a tail.

    Examples
    --------
    >>> import numpy as np
    >>> from pytest_quantcheck.stats.family import levels
    >>> runs = np.full(60, 0.2)
    >>> estimate_latency_quantile(runs, quantile=0.99, limit=0.5, levels=levels(0.05, 1))
    Traceback (most recent call last):
    pytest_quantcheck.errors.UsageError: p99 of 60 runs: 299 are needed to show anything at \
alpha = 0.05; measure more, or limit p95 or lower
    """
    needed = examples_for_quantile(quantile, alpha=levels.alpha_pass)
    if seconds.size < needed:
        raise UsageError(
            f"p{100 * quantile:g} of {seconds.size} runs: {needed} are needed to show anything at "
            f"alpha = {levels.alpha_pass:g}; measure more{_advise(seconds.size, levels)}"
        )
    return estimate_quantile(seconds, quantile=quantile, limit=limit, levels=levels)


def _advise(n: int, levels: Levels) -> str:
    """Return what else could be limited with so many runs."""
    highest = math.floor(100 * levels.alpha_pass ** (1 / n)) if n else 0
    return f", or limit p{highest} or lower" if highest > 0 else ""


def _check_quantile(quantile: float) -> None:
    if not 0 < quantile < 1:
        raise UsageError(f"the quantile is {quantile}; give a number between 0 and 1, such as 0.99")

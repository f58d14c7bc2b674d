"""Quantiles of independent values: how many show one, and the interval of the exact test."""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from pytest_quantcheck.stats.inversion import Interval
from pytest_quantcheck.stats.proportion import p_at_most

if TYPE_CHECKING:
    from numpy.typing import NDArray


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

    def is_enough(n: int) -> bool:
        return p_at_most(over, n, share=1 - quantile) <= alpha

    enough = 2 * over + 1
    while not is_enough(enough):
        enough *= 2
    return bisect_left(range(enough), x=True, lo=over + 1, key=is_enough)


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

    Examples
    --------
    >>> import numpy as np
    >>> found = quantile_interval(np.arange(100.0), quantile=0.9, alpha=0.05)
    >>> found.low, found.high
    (84.0, 95.0)
    """
    ordered, n, share = np.sort(values), values.size, 1 - quantile
    counts = np.arange(n + 1, dtype=np.float64)
    most = int(np.count_nonzero(special.bdtr(counts, n, share) <= alpha)) - 1
    fewest = n + 1 - int(np.count_nonzero(special.bdtrc(counts[:-1], n, share) <= alpha))
    return Interval(
        low=float(ordered[n - fewest]) if fewest <= n else -math.inf,
        high=float(ordered[n - 1 - most]) if most >= 0 else math.inf,
    )

"""Whether what was lost was lost in one slice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from numpy.typing import NDArray


def concentration_pvalue(lost: int, n: int, *, lost_in_all: int, n_in_all: int) -> float:
    """Return the chance of so many losses in a slice if they fell on all examples alike.

    Parameters
    ----------
    lost, n : int
        Losses and examples of the slice.
    lost_in_all, n_in_all : int
        Losses and examples of the whole workload, the slice included.

    Returns
    -------
    float
        Upper tail of the hypergeometric distribution; a description, not a verdict. It takes
        examples as independent, and each slice by itself.

    Examples
    --------
    >>> round(concentration_pvalue(5, 5, lost_in_all=5, n_in_all=10), 6)  # 1 / (10 over 5)
    0.003968
    """
    counts = np.arange(lost, min(n, lost_in_all) + 1)
    logs = (
        _log_choose(n, counts)
        + _log_choose(n_in_all - n, lost_in_all - counts)
        - _log_choose(n_in_all, np.array([lost_in_all]))
    )
    return min(1.0, float(np.exp(special.logsumexp(logs))))


def _log_choose(n: int, k: NDArray[np.int64]) -> NDArray[np.float64]:
    is_possible = (k >= 0) & (k <= n)
    k = np.where(is_possible, k, 0)
    logs = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    return np.asarray(np.where(is_possible, logs, -np.inf))

"""McNemar's test, as description: whether losses and gains are equally likely."""

from __future__ import annotations

from scipy import special


def mcnemar_p(losses: int, gains: int) -> float:
    """Return the exact two-sided p-value of "losses and gains are equally likely".

    Parameters
    ----------
    losses, gains : int
        Examples on which reference and variant disagree, each way.

    Returns
    -------
    float
        2·P(Bin(losses + gains, 1/2) ≤ the smaller), at most 1; 1 without any.

    Notes
    -----
    It asks for any difference at all, so it decides no budget.

    References
    ----------
    Q. McNemar, Psychometrika 12 (1947) 153. Agrees with `scipy.stats.binomtest`, and with
    M. W. Fagerland, S. Lydersen, P. Laake, BMC Med. Res. Methodol. 13 (2013) 91: p = .0525 for 16
    and 6.

    Examples
    --------
    >>> round(mcnemar_p(16, 6), 6)
    0.052479
    """
    return min(1.0, 2 * float(special.bdtr(float(min(losses, gains)), losses + gains, 0.5)))

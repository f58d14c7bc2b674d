"""How many limits share one error rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantcheck.core.verdict import Levels
from pytest_quantcheck.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

_STEPS = (1, 2, 5)
_LARGEST_ALPHA = 0.5


def family_size(count: int, pinned: int | None) -> int:
    """Return by how many limits alpha is divided.

    Parameters
    ----------
    count : int
        Statistical limits declared in the run, before any deselection.
    pinned : int | None
        What the user set; None to round `count` up to 1, 2, 5, 10, 20, 50, 100, ..., so that one
        limit more rarely moves the verdict of another.

    Raises
    ------
    UsageError
        `pinned` is below `count`.

    Examples
    --------
    >>> family_size(12, None), family_size(12, 12)
    (20, 12)
    """
    if pinned is not None:
        if pinned < max(1, count):
            raise UsageError(
                f"the family size is set to {pinned}, but {count} limits are declared; "
                f"set it to {max(1, count)} or more, or leave it out"
            )
        return pinned
    decade = 1
    while decade * _STEPS[-1] < count:
        decade *= 10
    rounded = [step * scale for scale in (decade // 10, decade) for step in _STEPS]
    return min(size for size in rounded if size >= max(1, count))


def levels(alpha: float, family: int) -> Levels:
    """Return the error rates of each decision.

    Parameters
    ----------
    alpha : float
        Chance that any FAIL of the run is false, and that one PASS is, in (0, 0.5).
    family : int
        Statistical limits of the run, at least 1.

    Raises
    ------
    UsageError
        `alpha` is not in (0, 0.5): from 0.5 on, PASS and FAIL could both be shown.

    Notes
    -----
    FAIL is divided (Bonferroni), as a run is red if any limit fails. PASS is not: a run is within
    all limits only if each one passes.

    References
    ----------
    R. L. Berger, Technometrics 24 (1982) 295: the intersection-union test.
    """
    if not 0 < alpha < _LARGEST_ALPHA:
        raise UsageError(f"alpha is {alpha}; give a number above 0 and below {_LARGEST_ALPHA}")
    return Levels(alpha_pass=alpha, alpha_fail=alpha / family)


def adjust_by_holm(p_values: Sequence[float], family: int) -> list[float]:
    """Return Holm's adjusted p-values: at most alpha where the hypothesis is rejected.

    Parameters
    ----------
    p_values : sequence of float
        Of the limits that were decided, in [0, 1], in any order.
    family : int
        Limits that share alpha, at least as many; those not decided count with a p-value of 1.

    Notes
    -----
    The smallest p-value is multiplied by `family`, as Bonferroni does, so that Holm rejects
    something exactly where Bonferroni does: a run has the same colour under both.

    References
    ----------
    S. Holm, Scandinavian Journal of Statistics 6 (1979) 65. Agrees with the closed test of all
    intersections of six hypotheses.

    Examples
    --------
    >>> adjust_by_holm([0.02, 0.01], 4)
    [0.06, 0.04]
    """
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    by_size = sorted(range(len(p_values)), key=p_values.__getitem__)
    for n_smaller, position in enumerate(by_size):
        largest = max(largest, min(1.0, (family - n_smaller) * p_values[position]))
        adjusted[position] = largest
    return adjusted

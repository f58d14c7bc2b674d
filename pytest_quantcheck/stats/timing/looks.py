"""The levels of looks at timed runs: one error rate spent over all of them."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from scipy import special

from pytest_quantcheck.stats.sequential.boundaries import crossing, spent_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_quantcheck.core.verdict import Levels

_NEAREST = 0.02
_LOWEST_LOG, _HIGHEST_LOG = math.log(1e-12), math.log(0.4999)
_STEPS = 4096
_SMALLEST_LEVEL = 1e-300


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """One of the two tests of a limit at the looks so far."""

    alpha: float
    """Of all looks together."""
    n_planned: int
    """Blocks at most."""
    taken: tuple[int, ...]
    """Earlier looks, in blocks, at which the test could have rejected."""
    n: int
    """Blocks at this look."""
    is_final: bool
    """Whether no look follows, whatever was planned."""
    may_reject: bool = True
    """Whether the test is made at this look."""

    def level(self, alpha: float | None = None) -> float:
        """Return the largest p-value that rejects at this look.

        Parameters
        ----------
        alpha : float, optional
            In place of `self.alpha`, for the same looks.

        Notes
        -----
        Spending of O'Brien-Fleming type; the last look has all that is left, even where the time
        limit brought it forward. A look that comes within 1/50 of the plan after another one has
        what is left by Bonferroni's inequality, which is no more.
        """
        if not self.may_reject:
            return 0.0
        taken = tuple(n / self.n_planned for n in self.taken)
        return _level(
            taken,
            self.n / self.n_planned,
            self.alpha if alpha is None else alpha,
            is_final=self.is_final,
        )

    def adjust(self, p: float) -> float:
        """Return the smallest alpha of all looks at which this one rejects with p-value `p`.

        It is rounded up, by less than 1 %.
        """
        if not self.taken and self.is_final:
            return p
        if p > self.level(_alpha_of(_STEPS)):
            return 1.0
        step = bisect_left(range(_STEPS), x=True, key=lambda step: p <= self.level(_alpha_of(step)))
        return _alpha_of(step)


def _alpha_of(step: int) -> float:
    """Return an alpha on a fixed grid, so that levels are computed once for many p-values."""
    return math.exp(_LOWEST_LOG + (_HIGHEST_LOG - _LOWEST_LOG) * step / _STEPS)


@lru_cache(maxsize=8192)
def _level(taken: tuple[float, ...], time: float, alpha: float, *, is_final: bool) -> float:
    total = alpha if is_final else spent_error(time, alpha)
    if not taken:
        return total
    spent = tuple(spent_error(earlier, alpha) for earlier in taken)
    if time - taken[-1] < _NEAREST:
        return max(total - spent[-1], _SMALLEST_LEVEL)
    z = crossing((*taken, time), (*spent, total))
    return max(float(special.ndtr(-z)), _SMALLEST_LEVEL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look at a limit, with both of its tests."""

    n: int
    """Blocks."""
    levels: Levels
    """With which p-values PASS and FAIL are shown now."""
    low: float
    """Level of the lower end of the interval, where larger is worse."""
    high: float
    """Level of the upper end."""


def looks_until(
    n: int,
    earlier: tuple[int, ...],
    *,
    alpha: float,
    n_planned: int,
    is_final: bool,
    smallest_p: Callable[[int], float],
) -> Looks:
    """Return the looks of one test up to n blocks.

    Parameters
    ----------
    n : int
        Blocks at the last look.
    earlier : tuple of int
        Blocks at which it was looked before, ascending.
    alpha : float
        Of all looks together.
    n_planned, is_final : int, bool
        As in `Looks`.
    smallest_p : callable
        The smallest p-value that so many blocks can give. A look at which even that does not
        reject spends nothing, so that what it would have spent is left for later ones.
    """

    def plain(taken: tuple[int, ...], look: int) -> Looks:
        return Looks(alpha=alpha, n_planned=n_planned, taken=taken, n=look, is_final=False)

    taken: tuple[int, ...] = ()
    for look in earlier:
        if look < n and smallest_p(look) <= plain(taken, look).level():
            taken = (*taken, look)
    found = plain(taken, n)
    return replace(found, is_final=is_final, may_reject=is_final or smallest_p(n) <= found.level())

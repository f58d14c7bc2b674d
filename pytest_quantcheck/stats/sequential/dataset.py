"""Early verdicts on a given set of examples: bets on what has not been drawn yet."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pytest_quantcheck.core.budget import Target
from pytest_quantcheck.core.verdict import Levels, Outcome
from pytest_quantcheck.stats.procedures import judge
from pytest_quantcheck.stats.sequential.confidence import invert_bets, meet, restate
from pytest_quantcheck.stats.sequential.wealth import growth_of_stakes, log_mixture

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from pytest_quantcheck.core.limit import Limit
    from pytest_quantcheck.core.verdict import Verdict
    from pytest_quantcheck.stats.inversion import Interval
    from pytest_quantcheck.stats.sequential.contrast import Contrast, Scales
    from pytest_quantcheck.stats.sequential.prefix import Plan, Prefix

_ROUNDING = 1e-9
_METHOD = "bets on the examples not drawn yet (without replacement)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """By how much each bet grows with each draw, as logarithms."""

    towards_pass: NDArray[np.float64]
    """(4, ..., g)."""
    towards_fail: NDArray[np.float64]
    """(4, ..., g)."""


def growth_of_draws(
    excesses: NDArray[np.float64], *, n_drawn: int, lowest: float, highest: float
) -> Growth:
    """Return what bets win on each draw of a set whose excesses are known to add up to 0.

    Parameters
    ----------
    excesses : NDArray[np.float64]
        (..., g) by how much the first draws exceed the limit, in random order.
    n_drawn : int
        Draws in all, g or more.
    lowest, highest : float
        Bounds of one draw, around 0.

    Notes
    -----
    If the whole set is exactly at the limit, the draws to come have the mean μ = -(sum so far) /
    (draws to come), and bets are laid on the next one against μ. Where μ leaves the bounds the
    limit can no longer be met, and nothing is left to bet on.

    References
    ----------
    I. Waudby-Smith, A. Ramdas, JRSS B 86 (2024) 1, arXiv:2010.09686, section 5.
    """
    sums = np.cumsum(excesses, axis=-1)
    before = sums - excesses
    mean = -before / (n_drawn - np.arange(excesses.shape[-1]))
    return Growth(
        towards_pass=growth_of_stakes(_stake(mean - excesses, highest - mean)),
        towards_fail=growth_of_stakes(_stake(excesses - mean, mean - lowest)),
    )


def _stake(gain: NDArray[np.float64], room: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the gains as parts of the room that is left; 0 where there is none."""
    is_open = room > 0
    return np.where(is_open, gain / np.where(is_open, room, 1.0), 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certain:
    """Which side no example to come can change."""

    is_pass: NDArray[np.bool_]
    is_fail: NDArray[np.bool_]


def find_certain(
    so_far: ArrayLike, *, n: int, to_come: ArrayLike, lowest: float, highest: float
) -> Certain:
    """Return whether the sum of all excesses is known to be 0 or less, or more.

    Parameters
    ----------
    so_far : array_like
        Sum of the excesses drawn.
    n : int
        Examples in all.
    to_come : array_like
        Examples not drawn yet.
    lowest, highest : float
        Bounds of one example's excess.
    """
    sums, rest, slack = np.asarray(so_far), np.asarray(to_come), _ROUNDING * n
    return Certain(is_pass=sums + rest * highest <= slack, is_fail=sums + rest * lowest > slack)


class DatasetTest:
    """One limit on the examples at hand, decided before all of them are measured.

    Notes
    -----
    PASS or FAIL is certain where the examples to come cannot change it, and shown where a bet
    against the other side has won enough. With all examples the figure itself decides.
    """

    def __init__(self, limit: Limit, plan: Plan, *, levels: Levels, scales: Scales) -> None:
        """Wait for the first batch."""
        self._limit, self._plan, self._levels, self._scales = limit, plan, levels, scales

    def step(self, prefix: Prefix, *, is_last: bool) -> Outcome | None:
        """Return the outcome, if there is one by now."""
        if is_last:
            return self._judge(prefix).outcome
        drawn, theta = prefix.contrast(), self._scales.theta(self._limit.value)
        if self._log_e(drawn, theta, Outcome.FAIL) >= -math.log(self._levels.alpha_fail):
            return Outcome.FAIL
        if self._log_e(drawn, theta, Outcome.PASS) >= -math.log(self._levels.alpha_pass):
            return Outcome.PASS
        return None

    def _log_e(self, drawn: Contrast, theta: float, side: Outcome) -> float:
        """Return the log e-value for one side of the limit θ: infinite where it is certain."""
        least = self._scales.least
        certain = find_certain(
            math.fsum(drawn.excesses(theta)),
            n=self._plan.n,
            to_come=self._plan.n - int(drawn.sizes.sum()),
            lowest=least.lowest(theta),
            highest=least.highest(theta),
        )
        if certain.is_pass or certain.is_fail:
            return math.inf if bool(certain.is_fail) is (side is Outcome.FAIL) else -math.inf
        growth = growth_of_draws(
            drawn.excesses(theta) / self._plan.largest_cluster,
            n_drawn=self._plan.n_drawn,
            lowest=self._scales.reach.lowest(theta),
            highest=self._scales.reach.highest(theta),
        )
        won = growth.towards_fail if side is Outcome.FAIL else growth.towards_pass
        return float(log_mixture(won.sum(axis=-1)))

    def conclude(self, prefix: Prefix, outcome: Outcome) -> Verdict:
        """Return the verdict: with an interval for the whole set, where it is not yet known."""
        verdict = self._judge(prefix)
        if prefix.n >= self._plan.n:
            return verdict
        interval = self._interval(prefix.contrast())
        interval = meet(verdict.estimate, [restate(interval, self._scales)])
        estimate = replace(
            verdict.estimate,
            low=interval.low,
            high=interval.high,
            confidence_level=self._levels.confidence_level,
            method=_METHOD,
        )
        note = f"about all {self._plan.n:,} examples, shown by {prefix.n:,} of them"
        return replace(verdict, outcome=outcome, estimate=estimate, note=note)

    def _interval(self, drawn: Contrast) -> Interval:
        return invert_bets(
            drawn,
            self._scales,
            (
                lambda theta: self._log_e(drawn, theta, Outcome.FAIL),
                lambda theta: -self._log_e(drawn, theta, Outcome.PASS),
            ),
            log_alpha=math.log(self._levels.alpha_pass),
        )

    def _judge(self, prefix: Prefix) -> Verdict:
        reference, variant = prefix.scores()
        return judge(
            self._limit,
            reference,
            variant=variant,
            levels=self._levels,
            target=Target.DATASET,
        )

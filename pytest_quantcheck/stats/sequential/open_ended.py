"""One limit on examples of which nobody knows how many will come: bets alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantcheck.core.verdict import Outcome
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.stats.sequential.confidence import (
    betting_interval,
    can_bet,
    open_bets,
    restate,
)
from pytest_quantcheck.stats.sequential.contrast import make_contrast, metric_of, scales_of
from pytest_quantcheck.stats.sequential.prefix import Prefix

if TYPE_CHECKING:
    from pytest_quantcheck.core.limit import Limit
    from pytest_quantcheck.core.verdict import Levels
    from pytest_quantcheck.stats.inversion import Interval
    from pytest_quantcheck.stats.scores import ExampleScores
    from pytest_quantcheck.stats.sequential.contrast import Scales
    from pytest_quantcheck.stats.sequential.wealth import Wealth


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is known so far; it may be looked at after any example."""

    outcome: Outcome
    """INCONCLUSIVE as long as neither side is shown; what was shown stays."""
    interval: Interval
    """Limits not rejected at alpha_pass on either side, in the unit of the limit."""
    p_pass: float
    p_fail: float
    n: int


class OpenEndedTest:
    """One limit on a stream of bounded scores, at the same error rates however long it runs.

    Notes
    -----
    Where the number of examples is known beforehand `Trial` needs far fewer: of 1,000 examples with
    1 % flips and no drop, against a limit of 1 %, bets alone pass 57 % of the time and looks with
    bets 83 %.
    """

    def __init__(self, limit: Limit, *, levels: Levels, largest_cluster: int = 1) -> None:
        """Wait for examples; no cluster will have more than `largest_cluster` of them."""
        self._limit, self._levels, self._largest = limit, levels, largest_cluster
        self._prefix = Prefix()
        self._most = {Outcome.PASS: 0.0, Outcome.FAIL: 0.0}
        self._shown = Outcome.INCONCLUSIVE
        self._bets: Wealth | None = None
        self._scales: Scales | None = None

    def update(self, reference: ExampleScores, variant: ExampleScores) -> Outcome:
        """Take more examples, whole clusters in random order; return what is shown by now.

        Raises
        ------
        UsageError
            The scores have no bounds, or no score can be on one of the limit's sides.
        """
        bets, scales = self._open(reference)
        contrast = make_contrast(self._limit, reference, variant)
        self._prefix.add(reference, variant, contrast)
        theta = scales.theta(self._limit.value)
        bets.bet(contrast.excesses(theta) / self._largest)
        won = {Outcome.PASS: bets.log_e_pass, Outcome.FAIL: bets.log_e_fail}
        self._most = {side: max(most, won[side]) for side, most in self._most.items()}
        if self._shown is Outcome.INCONCLUSIVE:
            self._shown = self._find_shown()
        return self._shown

    def standing(self) -> Standing:
        """Return what is known of the examples so far, at least one."""
        if self._scales is None:
            raise UsageError("no example has come yet; update the test first")
        interval = betting_interval(
            self._prefix.contrast(),
            scales=self._scales,
            largest=self._largest,
            alpha=self._levels.alpha_pass,
        )
        return Standing(
            outcome=self._shown,
            interval=restate(interval, self._scales),
            p_pass=math.exp(-self._most[Outcome.PASS]),
            p_fail=math.exp(-self._most[Outcome.FAIL]),
            n=self._prefix.n,
        )

    def _find_shown(self) -> Outcome:
        if self._most[Outcome.FAIL] >= -math.log(self._levels.alpha_fail):
            return Outcome.FAIL
        if self._most[Outcome.PASS] >= -math.log(self._levels.alpha_pass):
            return Outcome.PASS
        return Outcome.INCONCLUSIVE

    def _open(self, reference: ExampleScores) -> tuple[Wealth, Scales]:
        if self._bets is not None and self._scales is not None:
            return self._bets, self._scales
        scales = scales_of(self._limit, metric_of(reference), reference.bounds)
        theta = math.nan if scales is None else scales.theta(self._limit.value)
        if scales is None or not can_bet(theta, scales=scales):
            raise UsageError(
                f"{self._limit.keyword}={self._limit.value} on {reference.metric} within "
                f"{reference.bounds}: bets need bounded scores and a limit that they can pass "
                "on both sides; measure a known number of examples instead"
            )
        self._bets, self._scales = open_bets(theta, scales=scales), scales
        return self._bets, self._scales

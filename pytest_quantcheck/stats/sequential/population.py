"""Early verdicts on what the examples are a sample of: looks, and bets between them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_quantcheck.core.verdict import Levels, Outcome, Reason
from pytest_quantcheck.stats.decide import MIN_CLUSTERS
from pytest_quantcheck.stats.inversion import Interval
from pytest_quantcheck.stats.procedures import judge
from pytest_quantcheck.stats.sequential.confidence import (
    betting_interval,
    can_bet,
    meet,
    open_bets,
    restate,
)
from pytest_quantcheck.stats.sequential.looks import Looks

if TYPE_CHECKING:
    from pytest_quantcheck.core.limit import Limit
    from pytest_quantcheck.core.verdict import Verdict
    from pytest_quantcheck.stats.sequential.contrast import Contrast, Scales
    from pytest_quantcheck.stats.sequential.prefix import Plan, Prefix
    from pytest_quantcheck.stats.sequential.schedule import Pace
    from pytest_quantcheck.stats.sequential.wealth import Wealth

LOOK_SHARE = 0.9
"""Part of alpha that the looks spend; the bets have the rest. Without bets looks have all of it."""

_METHOD = "group sequential (O'Brien-Fleming spending)"


class PopulationTest:
    """One limit on a population, decided as examples come.

    Notes
    -----
    PASS and FAIL are tested independently. Each side rejects at a look, where the p-value of the
    limit's own test is at most the look's level, or at any batch by its bets; the union of the two
    errs at most at 0.9 and 0.1 of its level. What makes one of the two impossible for good is not
    looked for. Scores without bounds have looks only, at all of the level.
    """

    def __init__(
        self, limit: Limit, plan: Plan, *, levels: Levels, pace: Pace, scales: Scales | None
    ) -> None:
        """Plan looks and bets."""
        self._limit, self._plan, self._levels, self._scales = limit, plan, levels, scales
        self._theta = math.nan
        self._bets: Wealth | None = None
        if scales is not None:
            self._theta = scales.theta(limit.value)
            if can_bet(self._theta, scales=scales):
                self._bets = open_bets(self._theta, scales=scales)
        self._share = 1.0 if self._bets is None else LOOK_SHARE
        self._looks = Looks(limit, plan, levels=_scale(levels, self._share), pace=pace)

    def step(self, prefix: Prefix, *, is_last: bool) -> Verdict | None:
        """Return the verdict, if there is one by now."""
        if self._looks.is_due(prefix, is_last=is_last):
            verdict = self._looks.look(prefix)
            if verdict is not None:
                return self._conclude(verdict, prefix)
        side = self._side(prefix)
        if side is not None:
            return self._conclude(self._judge(prefix, self._levels), prefix, side=side)
        if is_last:
            return self._conclude(self._judge(prefix, self._looks.levels()), prefix)
        return None

    def bet(self, batch: Contrast) -> None:
        """Take the winnings of one more batch."""
        if self._bets is not None:
            self._bets.bet(batch.excesses(self._theta) / self._plan.largest_cluster)

    def _side(self, prefix: Prefix) -> Outcome | None:
        """Return what the bets have shown."""
        if self._bets is None:
            return None
        share = 1 - LOOK_SHARE
        if self._bets.log_e_fail >= -math.log(share * self._levels.alpha_fail):
            return Outcome.FAIL
        enough = self._plan.n_clusters is None or prefix.n_drawn >= MIN_CLUSTERS
        if enough and self._bets.log_e_pass >= -math.log(share * self._levels.alpha_pass):
            return Outcome.PASS
        return None

    def _judge(self, prefix: Prefix, levels: Levels) -> Verdict:
        reference, variant = prefix.scores()
        return judge(self._limit, reference, variant=variant, levels=levels)

    def _conclude(
        self, verdict: Verdict, prefix: Prefix, *, side: Outcome | None = None
    ) -> Verdict:
        """Return the verdict with what holds at any time in place of what holds once."""
        estimate, by_bets = verdict.estimate, side is not None
        at_look = self._at_last_look(prefix) if by_bets else verdict
        intervals = [Interval(low=-math.inf, high=math.inf)]
        p_pass = p_fail = 1.0
        if at_look is not None:
            intervals.append(Interval(low=at_look.estimate.low, high=at_look.estimate.high))
            p_pass = self._looks.smallest_alpha(at_look.estimate.p_pass, share=self._share)
            p_fail = self._looks.smallest_alpha(at_look.estimate.p_fail, share=self._share)
        if self._bets is not None and self._scales is not None:
            intervals.append(self._betting_interval(prefix, self._scales))
            share = 1 - LOOK_SHARE
            p_pass = min(p_pass, math.exp(-self._bets.log_e_pass) / share)
            p_fail = min(p_fail, math.exp(-self._bets.log_e_fail) / share)
        whole = meet(estimate, intervals)
        verdict = replace(
            verdict,
            levels=self._levels,
            estimate=replace(
                estimate,
                low=whole.low,
                high=whole.high,
                confidence_level=1 - 2 * self._levels.alpha_pass,
                p_pass=p_pass,
                p_fail=p_fail,
                method=f"{estimate.method}, {_METHOD}{' and bets' if self._bets else ''}",
            ),
        )
        return verdict if side is None else _decided(verdict, side)

    def _at_last_look(self, prefix: Prefix) -> Verdict | None:
        if self._looks.n == 0:
            return None
        reference, variant = prefix.scores(self._looks.n)
        return judge(self._limit, reference, variant=variant, levels=self._looks.levels())

    def _betting_interval(self, prefix: Prefix, scales: Scales) -> Interval:
        interval = betting_interval(
            prefix.contrast(),
            scales=scales,
            largest=self._plan.largest_cluster,
            alpha=(1 - LOOK_SHARE) * self._levels.alpha_pass,
        )
        return restate(interval, scales)


def _scale(levels: Levels, share: float) -> Levels:
    return Levels(alpha_pass=share * levels.alpha_pass, alpha_fail=share * levels.alpha_fail)


def _decided(verdict: Verdict, side: Outcome) -> Verdict:
    """Return the verdict as the bets have it."""
    reason = Reason.SHOWN_WITHIN if side is Outcome.PASS else Reason.SHOWN_OVER
    return replace(verdict, outcome=side, reason=reason, needed_n=None)

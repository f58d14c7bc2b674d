"""Early verdicts on what the examples are a sample of: looks, and bets between them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_quantcheck.core.verdict import Levels, Outcome, Reason
from pytest_quantcheck.stats.decide import MIN_CLUSTERS
from pytest_quantcheck.stats.inversion import Interval
from pytest_quantcheck.stats.means import PValues
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
        self._side: Outcome | None = None
        self._theta = math.nan
        self._bets: Wealth | None = None
        if scales is not None:
            self._theta = scales.theta(limit.value)
            if can_bet(self._theta, scales=scales):
                self._bets = open_bets(self._theta, scales=scales)
        self._share = 1.0 if self._bets is None else LOOK_SHARE
        self._looks = Looks(
            limit,
            plan,
            levels=_scale(levels, self._share),
            pace=pace,
            has_bounds=scales is not None,
        )

    def step(self, prefix: Prefix, *, is_last: bool) -> Outcome | None:
        """Return the outcome, if there is one by now."""
        if self._looks.is_due(prefix, is_last=is_last):
            shown = self._looks.look(prefix, is_last=is_last)
            if shown is not None:
                return shown
        self._side = self._shown_by_bets(prefix)
        return Outcome.INCONCLUSIVE if self._side is None and is_last else self._side

    def bet(self, batch: Contrast) -> None:
        """Take the winnings of one more batch."""
        if self._bets is not None:
            self._bets.bet(batch.excesses(self._theta) / self._plan.largest_cluster)

    def _shown_by_bets(self, prefix: Prefix) -> Outcome | None:
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

    def conclude(self, prefix: Prefix, outcome: Outcome) -> Verdict:
        """Return the verdict: what holds at any time in place of what holds once."""
        at_look = self._judge_at_look(prefix, outcome)
        verdict = at_look
        if verdict is None or self._side is not None:
            reference, variant = prefix.scores()
            verdict = judge(self._limit, reference, variant=variant, levels=self._levels)
        intervals = [Interval(low=-math.inf, high=math.inf)]
        if at_look is not None:
            intervals.append(Interval(low=at_look.estimate.low, high=at_look.estimate.high))
        if self._bets is not None and self._scales is not None:
            intervals.append(self._betting_interval(prefix, self._scales))
        whole = meet(verdict.estimate, intervals)
        p_values = self._p_values(at_look)
        estimate = replace(
            verdict.estimate,
            low=whole.low,
            high=whole.high,
            confidence_level=self._levels.confidence_level,
            p_pass=p_values.p_pass,
            p_fail=p_values.p_fail,
            method=f"{verdict.estimate.method}, {_METHOD}{' and bets' if self._bets else ''}",
        )
        needed = self._looks.needed(verdict) if outcome is Outcome.INCONCLUSIVE else None
        verdict = replace(verdict, levels=self._levels, estimate=estimate, needed_n=needed)
        return verdict if self._side is None else _decided(verdict, self._side)

    def _judge_at_look(self, prefix: Prefix, outcome: Outcome) -> Verdict | None:
        """Return the verdict at the last look taken; None where there was none.

        The chance of FAIL of a PASS is that of the whole plan, not that of an early look.
        """
        if self._looks.n == 0:
            return None
        levels = self._looks.levels()
        if outcome is Outcome.PASS:
            levels = replace(levels, alpha_fail=self._levels.alpha_fail)
        return self._looks.verdict(prefix, levels)

    def _p_values(self, at_look: Verdict | None) -> PValues:
        """Return the smallest levels at which looks or bets reject by now."""
        found = {"p_pass": 1.0, "p_fail": 1.0}
        if at_look is not None:
            for name in found:
                p = getattr(at_look.estimate, name)
                found[name] = self._looks.smallest_alpha(p, share=self._share)
        if self._bets is not None:
            won = {"p_pass": self._bets.log_e_pass, "p_fail": self._bets.log_e_fail}
            for name, log_e in won.items():
                found[name] = min(found[name], math.exp(-log_e) / (1 - LOOK_SHARE))
        return PValues(**found)

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
    return replace(verdict, outcome=side, reason=reason)

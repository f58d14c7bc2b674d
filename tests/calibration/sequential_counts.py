"""Early stopping of right-or-wrong examples in thousands of runs at once.

The rule is the shipped one: its looks, its levels, its exact p-values and its bets. What is added
is memory: for a number of examples and of gains, the losses at which the p-value passes its level.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from pytest_quantcheck.core.metric import METRICS
from pytest_quantcheck.core.verdict import Levels
from pytest_quantcheck.stats.binary import p_fail, p_pass
from pytest_quantcheck.stats.inversion import normal_quantile
from pytest_quantcheck.stats.sequential.boundaries import nominal_level
from pytest_quantcheck.stats.sequential.looks import lowest_p_values
from pytest_quantcheck.stats.sequential.population import LOOK_SHARE
from pytest_quantcheck.stats.sequential.schedule import RIGHT_OR_WRONG, batch_ends
from pytest_quantcheck.stats.sequential.wealth import (
    growth_of_bet,
    log_mixture,
)
from pytest_quantcheck.stats.tango import PairedCounts, score_z, tango_p_pass

HOPELESS_Z = 1.0
"""A limit that is nearer than one standard error is not shown kept or exceeded at any level."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """When examples are looked at."""

    n: int
    ends: tuple[int, ...]
    """Batch ends, ascending; bets can stop there."""
    looks: tuple[int, ...]
    """Those of them at which the exact test is made."""

    @classmethod
    def shipped(cls, n):
        """Return when a workload of `n` right-or-wrong examples is looked at."""
        ends = batch_ends([1] * n, [METRICS["accuracy"]])
        return cls(n=n, ends=ends, looks=RIGHT_OR_WRONG.looks(n))

    @classmethod
    def of_prototype(cls, n, *, batch=32):
        """Return batches of 32 and ten looks, the first ones included."""
        looks = replace(RIGHT_OR_WRONG, first=0).looks(n)
        return cls(n=n, ends=tuple(sorted({*range(batch, n, batch), *looks})), looks=looks)


@dataclass(frozen=True, kw_only=True)
class Stops:
    """Where each run ended."""

    outcome: np.ndarray
    """(runs,) 1 for PASS, -1 for FAIL, 0 for neither."""
    n: np.ndarray
    """(runs,) examples used."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """The exact test of one limit at one look."""

    n: int
    limit: float
    levels: Levels
    is_exact: bool = True
    """Whether p-values are those that `judge` compares; else Tango's, as in the prototype."""

    def rejects(self, losses, gains, side):
        """Return whether the look shows this side."""
        counts = PairedCounts(losses=losses, gains=gains, n=self.n)
        if not self.is_exact:
            within = tango_p_pass(counts, limit=self.limit)
            if side > 0:
                return within <= self.levels.alpha_pass
            return 1 - within <= self.levels.alpha_fail
        lowest = lowest_p_values(counts, limit=self.limit, levels=self.levels)
        if side > 0:
            alpha, least, p = self.levels.alpha_pass, lowest.p_pass, p_pass
        else:
            alpha, least, p = self.levels.alpha_fail, lowest.p_fail, p_fail
        return least <= alpha and p(counts, limit=self.limit, alpha=alpha) <= alpha


@cache
def turning_losses(rule, gains, side):
    """Return the most losses that pass, or the fewest that fail; -1 and n + 1 for none."""
    alpha = rule.levels.alpha_pass if side > 0 else rule.levels.alpha_fail
    losses = np.arange(rule.n - gains + 1)
    z = score_z(losses, gains, n=rule.n, limit=rule.limit)
    bar = normal_quantile(alpha)
    guess = int(np.searchsorted(z, -side * bar, side="right" if side > 0 else "left"))
    if side > 0:
        most = min(guess, int(losses[-1])) - 1
        while most >= 0 and not rule.rejects(most, gains, side):
            most -= 1
        while most < losses[-1] and rule.rejects(most + 1, gains, side):
            most += 1
        return most
    fewest = guess
    while fewest <= losses[-1] and not rule.rejects(fewest, gains, side):
        fewest += 1
    while fewest > 0 and rule.rejects(fewest - 1, gains, side):
        fewest -= 1
    return fewest if fewest <= losses[-1] else rule.n + 1


def look_levels(course, levels):
    """Return the levels of each look."""
    times = tuple(look / course.n for look in course.looks)
    return {
        look: Levels(
            alpha_pass=nominal_level(times[: k + 1], LOOK_SHARE * levels.alpha_pass),
            alpha_fail=nominal_level(times[: k + 1], LOOK_SHARE * levels.alpha_fail),
        )
        for k, look in enumerate(course.looks)
    }


def decide_at_look(losses, gains, rule):
    """Return (runs,) 1, -1 or 0 by the exact test."""
    z = score_z(losses, gains, n=rule.n, limit=rule.limit)
    outcome = np.zeros(losses.size, dtype=int)
    for side in (1, -1):
        for run in np.flatnonzero(-side * z > HOPELESS_Z):
            turn = turning_losses(rule, int(gains[run]), side)
            if (losses[run] <= turn) if side > 0 else (losses[run] >= turn):
                outcome[run] = side
    return outcome


def decide_by_bets(losses, gains, n, *, limit, levels):
    """Return (runs,) 1, -1 or 0 by the bets."""
    excesses = np.array([1.0, -1.0, 0.0]) - limit
    counts = np.stack([losses, gains, n - losses - gains])
    share = 1 - LOOK_SHARE
    passing = log_mixture(growth_of_bet(excesses, farthest=1 - limit) @ counts)
    failing = log_mixture(growth_of_bet(excesses, farthest=-1 - limit) @ counts)
    outcome = np.where(passing >= -math.log(share * levels.alpha_pass), 1, 0)
    return np.where(failing >= -math.log(share * levels.alpha_fail), -1, outcome)


def run(losses, gains, *, course, limit, levels, is_exact=True):
    """Return where runs stop.

    Parameters
    ----------
    losses, gains : (ends, runs) ints
        Counts up to each batch end of the course.
    is_exact : bool
        Whether looks are the exact ones that are shipped.
    """
    at_look = look_levels(course, levels)
    outcome = np.zeros(losses.shape[1], dtype=int)
    used = np.full(losses.shape[1], course.n)
    for lost, gained, end in zip(losses, gains, course.ends, strict=True):
        going = np.flatnonzero(outcome == 0)
        if not going.size:
            break
        found = np.zeros(going.size, dtype=int)
        if end in at_look:
            rule = Rule(n=end, limit=limit, levels=at_look[end], is_exact=is_exact)
            found = decide_at_look(lost[going], gained[going], rule)
        bets = decide_by_bets(lost[going], gained[going], end, limit=limit, levels=levels)
        found = np.where(found == 0, bets, found)
        outcome[going] = found
        used[going[found != 0]] = end
    return Stops(outcome=outcome, n=used)


def draw_counts(rng, runs, *, flips, drop, ends):
    """Return losses and gains up to each end, (ends, runs) each."""
    shares = [(flips + drop) / 2, (flips - drop) / 2, 1 - flips]
    sizes = [after - before for before, after in itertools.pairwise([0, *ends])]
    drawn = np.stack([rng.multinomial(size, shares, size=runs) for size in sizes])
    sums = np.cumsum(drawn, axis=0)
    return sums[..., 0], sums[..., 1]

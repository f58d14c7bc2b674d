"""Simulated builds of many budgets, each decided by `judge`.

Verdicts on right and wrong answers are computed once for each pair of counts that occurs: they
tell `judge` nothing else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from itertools import cycle, islice

import numpy as np
from scipy import special, stats

from pytest_quantcheck.core.grammar import parse_limit
from pytest_quantcheck.core.verdict import Outcome
from pytest_quantcheck.stats.family import adjust_by_holm, family_size, levels
from pytest_quantcheck.stats.procedures import judge
from pytest_quantcheck.stats.scores import ExampleScores

ALPHA = 0.05
IDENTICAL = -math.inf
"""Standard errors above the limit of a variant that answers as the reference does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stake:
    """A budget on so many examples, and how many of them flip where it is just kept."""

    keyword: str
    limit: float
    n: int
    flips: float

    def shares(self, errors: float) -> tuple[float, float]:
        """Return the true shares of losses and gains, `errors` standard errors over the limit."""
        if errors == IDENTICAL:
            return 0.0, 0.0
        if self.keyword == "max_flip_rate":
            flips = self.limit + errors * math.sqrt(self.limit * (1 - self.limit) / self.n)
            return flips / 2, flips / 2
        drop = self.limit + errors * math.sqrt((self.flips - self.limit**2) / self.n)
        gains = max(0.0, (self.flips - drop) / 2)
        return drop + gains, gains


STAKES = (
    Stake(keyword="max_accuracy_drop", limit=0.05, n=200, flips=0.08),
    Stake(keyword="max_flip_rate", limit=0.05, n=300, flips=0.05),
    Stake(keyword="max_accuracy_drop", limit=0.01, n=500, flips=0.02),
    Stake(keyword="max_accuracy_drop", limit=0.02, n=500, flips=0.04),
    Stake(keyword="max_accuracy_drop", limit=0.01, n=1000, flips=0.02),
)
"""The budgets of a build, in turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What `judge` says of one budget."""

    outcome: Outcome
    p_fail: float


@cache
def rule(stake: Stake, losses: int, gains: int, family: int) -> Ruling:
    """Return the verdict on one result, by the code that a run uses."""
    reference, variant = np.ones(stake.n), np.ones(stake.n)
    variant[:losses] = 0
    reference[losses : losses + gains] = 0
    verdict = judge(
        parse_limit(stake.keyword, stake.limit),
        _scores(reference),
        variant=_scores(variant),
        levels=levels(ALPHA, family),
    )
    return Ruling(outcome=verdict.outcome, p_fail=verdict.estimate.p_fail)


def _scores(values):
    return ExampleScores(
        metric="accuracy",
        ids=tuple(map(str, range(values.size))),
        values=values,
        weights=np.ones(values.size),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """How far the budgets of a build are over their limits, in standard errors."""

    first: float
    """Of the first `n_first` budgets, in an order drawn for each build."""
    n_first: int
    others: float


AT_THE_LIMIT = Scenario(first=0.0, n_first=0, others=0.0)
ONE_AT_THE_LIMIT = Scenario(first=0.0, n_first=1, others=IDENTICAL)
THREE_REGRESSIONS = Scenario(first=3.5, n_first=3, others=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Builds:
    """Simulated counts of all budgets of many builds."""

    stakes: tuple[Stake, ...]
    losses: np.ndarray  # (builds, m)
    gains: np.ndarray  # (builds, m)

    @property
    def family(self):
        return family_size(len(self.stakes), None)

    def rulings(self):
        """Return outcome and p of FAIL for each budget of each build."""
        outcomes = np.empty(self.losses.shape, dtype=object)
        p_fail = np.empty(self.losses.shape)
        for position, stake in enumerate(self.stakes):
            pairs = np.stack([self.losses[:, position], self.gains[:, position]], axis=1)
            unique, rows = np.unique(pairs, axis=0, return_inverse=True)
            found = [rule(stake, *counts, self.family) for counts in unique.tolist()]
            outcomes[:, position] = np.array([one.outcome for one in found])[rows.ravel()]
            p_fail[:, position] = np.array([one.p_fail for one in found])[rows.ravel()]
        return outcomes, p_fail


def simulate(stakes, m, *, scenario, correlation, builds, rng):
    """Return builds of m budgets, whose losses and whose gains correlate between budgets.

    One normal variable for all losses of a build and one for all gains stand behind those of each
    budget, which are trinomial whatever the correlation.
    """
    stakes = tuple(islice(cycle(stakes), m))
    is_first = rng.permuted(np.tile(np.arange(m) < scenario.n_first, (builds, 1)), axis=1)
    uniforms = [
        special.ndtr(
            math.sqrt(correlation) * rng.standard_normal((builds, 1))
            + math.sqrt(1 - correlation) * rng.standard_normal((builds, m))
        )
        for _ in range(2)
    ]
    losses, gains = np.zeros((2, builds, m), dtype=np.int64)
    for position, stake in enumerate(stakes):
        for errors, chosen in ((scenario.first, True), (scenario.others, False)):
            rows = np.flatnonzero(is_first[:, position] == chosen)
            drawn = _draw(stake, errors, *(u[rows, position] for u in uniforms))
            losses[rows, position], gains[rows, position] = drawn
    return Builds(stakes=stakes, losses=losses, gains=gains)


def _draw(stake, errors, for_losses, for_gains):
    """Return the counts at these quantiles."""
    loss, gain = stake.shares(errors)
    losses = _binomial_at(for_losses, stake.n, loss)
    gains = np.zeros_like(losses)
    for count in np.unique(losses):
        rows = losses == count
        gains[rows] = _binomial_at(for_gains[rows], stake.n - count, gain / (1 - loss))
    return losses, gains


def _binomial_at(quantiles, n, share):
    return np.searchsorted(stats.binom.cdf(np.arange(n), n, share), quantiles)


def rates(builds: Builds) -> dict[str, float]:
    """Return how builds end: shares of them, and budgets listed in one on average.

    `red` has a FAIL, `green` is a PASS in every budget, as the strict gate asks; `listed` are the
    FAILs and what Holm adds.
    """
    outcomes, p_fail = builds.rulings()
    fails = np.count_nonzero(outcomes == Outcome.FAIL, axis=1)
    listed = [
        sum(p <= ALPHA for p in adjust_by_holm(row, builds.family)) if failed else 0
        for row, failed in zip(p_fail.tolist(), fails, strict=True)
    ]
    return {
        "red": float(np.mean(fails > 0)),
        "green": float(np.mean(np.all(outcomes == Outcome.PASS, axis=1))),
        "fails": float(np.mean(fails)),
        "listed": float(np.mean(np.maximum(listed, fails))),
    }

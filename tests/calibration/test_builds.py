"""Whole builds of many budgets: how often one is red, or green, that should not be.

Examples are drawn and their verdicts come from `judge`, once for each pair of counts that occurs:
right and wrong answers tell it nothing else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import cycle, islice

import numpy as np
import pytest
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
    Stake(keyword="max_accuracy_drop", limit=0.01, n=1000, flips=0.05),
    Stake(keyword="max_accuracy_drop", limit=0.02, n=1000, flips=0.10),
)
"""The budgets of a build, in turn."""
SMALL = (
    Stake(keyword="max_accuracy_drop", limit=0.05, n=120, flips=0.06),
    Stake(keyword="max_flip_rate", limit=0.04, n=100, flips=0.04),
    Stake(keyword="max_accuracy_drop", limit=0.02, n=150, flips=0.03),
)
"""Budgets whose verdicts are few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What `judge` sees of one budget."""

    stake: Stake
    losses: int
    gains: int
    family: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What `judge` says of it."""

    outcome: Outcome
    p_fail: float


def rule(result: Result) -> Ruling:
    """Return the verdict on one result, by the code that a run uses."""
    reference, variant = np.ones(result.stake.n), np.ones(result.stake.n)
    variant[: result.losses] = 0
    reference[result.losses : result.losses + result.gains] = 0
    verdict = judge(
        parse_limit(result.stake.keyword, result.stake.limit),
        _scores(reference),
        variant=_scores(variant),
        levels=levels(ALPHA, result.family),
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

    def results(self):
        """Return every result that occurs, once."""
        found = set()
        for position, stake in enumerate(self.stakes):
            pairs = np.stack([self.losses[:, position], self.gains[:, position]], axis=1)
            for losses, gains in np.unique(pairs, axis=0).tolist():
                found.add(Result(stake=stake, losses=losses, gains=gains, family=self.family))
        return found


def simulate(stakes, m, *, scenario, correlation, builds, seed):
    """Return builds of m budgets, whose losses and whose gains correlate between budgets.

    One normal variable for all losses of a build and one for all gains stand behind those of each
    budget, which are trinomial whatever the correlation.
    """
    rng = np.random.default_rng(seed)
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


@dataclass(slots=True, kw_only=True)
class Bench:
    """Rules on results, each once."""

    known: dict[Result, Ruling] = field(default_factory=dict)

    def read(self, results, mapper=map):
        """Rule on what is not known yet."""
        new = sorted(set(results) - set(self.known), key=lambda one: one.stake.n)
        self.known.update(zip(new, mapper(rule, new), strict=True))

    def rulings(self, builds):
        """Return outcome and p of FAIL for each budget of each build."""
        outcomes = np.empty(builds.losses.shape, dtype=object)
        p_fail = np.empty(builds.losses.shape)
        for position, stake in enumerate(builds.stakes):
            pairs = np.stack([builds.losses[:, position], builds.gains[:, position]], axis=1)
            unique, rows = np.unique(pairs, axis=0, return_inverse=True)
            found = [
                self.known[Result(stake=stake, losses=lost, gains=gained, family=builds.family)]
                for lost, gained in unique.tolist()
            ]
            outcomes[:, position] = np.array([one.outcome for one in found])[rows.ravel()]
            p_fail[:, position] = np.array([one.p_fail for one in found])[rows.ravel()]
        return outcomes, p_fail


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Shares of builds, and budgets listed in one on average."""

    red: float
    """Of builds with a FAIL."""
    green: float
    """Of builds in which every budget is a PASS: green under the strict gate."""
    fails: float
    with_holm: float
    """FAILs and what Holm adds."""


def rates(builds, bench):
    """Return how builds end."""
    outcomes, p_fail = bench.rulings(builds)
    fails = np.count_nonzero(outcomes == Outcome.FAIL, axis=1)
    listed = [
        sum(p <= ALPHA for p in adjust_by_holm(row, builds.family)) if failed else 0
        for row, failed in zip(p_fail.tolist(), fails, strict=True)
    ]
    return Rates(
        red=float(np.mean(fails > 0)),
        green=float(np.mean(np.all(outcomes == Outcome.PASS, axis=1))),
        fails=float(np.mean(fails)),
        with_holm=float(np.mean(np.maximum(listed, fails))),
    )


def measure(stakes, m, *, scenario, correlation, builds, bench, mapper=map):
    """Return the rates of one cell, ruling on what the bench does not know."""
    drawn = simulate(stakes, m, scenario=scenario, correlation=correlation, builds=builds, seed=m)
    bench.read(drawn.results(), mapper)
    return rates(drawn, bench)


BUILDS, M = 3000, 20
NOISE = 3 * math.sqrt(ALPHA * (1 - ALPHA) / BUILDS)


@pytest.fixture(scope="module")
def bench():
    return Bench()


def small(scenario, correlation, bench, *, m=M, builds=BUILDS):
    return measure(SMALL, m, scenario=scenario, correlation=correlation, builds=builds, bench=bench)


@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_builds_at_their_limits_are_seldom_red(bench, correlation):
    found = small(AT_THE_LIMIT, correlation, bench)

    assert 0 < found.red <= ALPHA + NOISE
    assert found.green <= ALPHA


@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_one_exceeded_limit_is_seldom_green_under_the_strict_gate(bench, correlation):
    found = small(ONE_AT_THE_LIMIT, correlation, bench)

    assert 0 < found.green <= ALPHA + NOISE


def test_regressions_turn_builds_red_and_holm_lists_more_of_them(bench):
    found = small(THREE_REGRESSIONS, 0.0, bench, m=5, builds=500)

    assert found.red > 0.9
    assert 1 < found.fails < found.with_holm < 3.1


def test_counts_of_one_budget_are_trinomial_and_correlate_between_budgets():
    stake = STAKES[3]
    drawn = simulate((stake,), 2, scenario=AT_THE_LIMIT, correlation=0.5, builds=20_000, seed=1)

    drops = drawn.losses - drawn.gains
    error = math.sqrt(stake.n * (stake.flips - stake.limit**2))
    assert drops.mean() == pytest.approx(stake.n * stake.limit, abs=0.03 * error)
    assert drops.std() == pytest.approx(error, rel=0.02)
    assert np.corrcoef(drops.T)[0, 1] == pytest.approx(0.5, abs=0.02)

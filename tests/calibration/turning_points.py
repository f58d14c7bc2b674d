"""Chances of verdicts on paired answers, by enumeration of every result.

For each number of gains, a verdict turns once as losses grow. The turning point is found with the
p-values that `judge` compares with alpha; then binomial tails are added up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from scipy import stats

from pytest_quantcheck.stats.binary import p_fail, p_pass
from pytest_quantcheck.stats.tango import PairedCounts

OMITTED = 1e-6
"""Chance of the numbers of gains that are left out; it is counted as a rejection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedTest:
    """The exact test of n pairs against one limit; recoveries count what either has right."""

    n: int
    limit: float
    alpha: float
    is_relative: bool = False

    def passes(self, losses: int, gains: int) -> bool:
        return _p_value(p_pass, self, losses, gains) <= self.alpha

    def fails(self, losses: int, gains: int) -> bool:
        return _p_value(p_fail, self, losses, gains) <= self.alpha


@cache
def _p_value(p_value, test, losses, gains):
    counts = PairedCounts(losses=losses, gains=gains, n=test.n, is_relative=test.is_relative)
    return p_value(counts, limit=test.limit, alpha=test.alpha)


def likely_gains(n: int, p_gain: float) -> range:
    """Return the numbers of gains outside of which lies a chance of `OMITTED` at most."""
    low, high = stats.binom.ppf([OMITTED / 2, 1 - OMITTED / 2], n, p_gain)
    return range(int(low), int(high) + 1)


def most_passing(test: PairedTest, gains: range) -> list[int]:
    """Return, for each number of gains, the most losses that pass; -1 for none."""
    found = []
    most = _last(lambda losses: test.passes(losses, gains[0]), test.n - gains[0])
    for number in gains:
        while number + most < test.n and test.passes(most + 1, number):
            most += 1
        found.append(most)
    return found


def fewest_failing(test: PairedTest, gains: range) -> list[int]:
    """Return, for each number of gains, the fewest losses that fail."""
    found = []
    fewest = 1 + _last(lambda losses: not test.fails(losses, gains[0]), test.n - gains[0])
    for number in gains:
        while number + fewest <= test.n and not test.fails(fewest, number):
            fewest += 1
        found.append(fewest)
    return found


def _last(holds, largest: int) -> int:
    """Return the largest number for which `holds`, which does up to it; -1 for none."""
    low, step = -1, 1
    while low + step <= largest and holds(low + step):
        low, step = low + step, 2 * step
    high = min(low + step, largest + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def chance_of_pass(test: PairedTest, *, p_loss: float, p_gain: float) -> float:
    """Return P(PASS), with what is left out counted in."""
    gains = likely_gains(test.n, p_gain)
    return OMITTED + sum(
        stats.binom.pmf(number, test.n, p_gain)
        * stats.binom.cdf(most, test.n - number, p_loss / (1 - p_gain))
        for number, most in zip(gains, most_passing(test, gains), strict=True)
    )


def chance_of_fail(test: PairedTest, *, p_loss: float, p_gain: float) -> float:
    """Return P(FAIL), with what is left out counted in."""
    gains = likely_gains(test.n, p_gain)
    return OMITTED + sum(
        stats.binom.pmf(number, test.n, p_gain)
        * stats.binom.sf(fewest - 1, test.n - number, p_loss / (1 - p_gain))
        for number, fewest in zip(gains, fewest_failing(test, gains), strict=True)
    )

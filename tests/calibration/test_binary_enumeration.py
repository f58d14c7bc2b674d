"""Error of PASS and FAIL at the limit itself, by enumeration of every result."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from scipy import stats

from pytest_quantcheck.stats.binary import p_fail, p_pass
from pytest_quantcheck.stats.tango import PairedCounts

EXAMPLES = (30, 100, 300, 1000)
LIMITS = (0.01, 0.02, 0.05)
FLIPS = (0.01, 0.02, 0.05, 0.10)
OMITTED = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Chances of a wrong verdict where the true drop equals the limit."""

    n: int
    limit: float
    flips: float
    false_pass: float
    """Upper bound: results left out count as wrong."""
    false_fail: float
    """Upper bound: results left out count as wrong."""


def enumerate_errors(n: int, limit: float, *, alpha_pass: float, alpha_fail: float) -> list[Errors]:
    """Return both errors for each rate of flips that allows a drop of `limit`.

    For each number of gains, the verdict turns once as losses grow. The turning point is found
    with the p-values that `judge` compares with alpha; then binomial tails are added up. Numbers
    of gains that together have a chance below `OMITTED` are left out and counted as errors.
    """
    rates = [flips for flips in FLIPS if flips >= limit]
    most_gains = int(stats.binom.isf(OMITTED, n, (max(rates) - limit) / 2))
    passing = _passing_losses(n, limit, alpha=alpha_pass, most_gains=most_gains)
    failing = _failing_losses(n, limit, alpha=alpha_fail, most_gains=most_gains)
    return [_sum_up(n, limit, flips, passing=passing, failing=failing) for flips in rates]


def _passing_losses(n, limit, *, alpha, most_gains):
    """Return, for each number of gains, how many losses still pass; -1 for none."""
    passing, losses = [], -1
    for gains in range(most_gains + 1):
        while gains + losses < n and _p_pass(losses + 1, gains, n, limit, alpha) <= alpha:
            losses += 1
        passing.append(losses)
    return passing


def _failing_losses(n, limit, *, alpha, most_gains):
    """Return, for each number of gains, how many losses already fail."""
    failing, losses = [], 0
    for gains in range(most_gains + 1):
        while gains + losses <= n and _p_fail(losses, gains, n, limit, alpha) > alpha:
            losses += 1
        failing.append(losses)
    return failing


def _p_pass(losses, gains, n, limit, alpha):
    return p_pass(PairedCounts(losses=losses, gains=gains, n=n), limit=limit, alpha=alpha)


def _p_fail(losses, gains, n, limit, alpha):
    return p_fail(PairedCounts(losses=losses, gains=gains, n=n), limit=limit, alpha=alpha)


def _sum_up(n, limit, flips, *, passing, failing):
    p_loss, p_gain = (flips + limit) / 2, (flips - limit) / 2
    false_pass = false_fail = stats.binom.sf(len(passing) - 1, n, p_gain)
    for gains, (most, fewest) in enumerate(zip(passing, failing, strict=True)):
        weight = stats.binom.pmf(gains, n, p_gain)
        losses = stats.binom(n - gains, p_loss / (1 - p_gain))
        false_pass += weight * losses.cdf(most)
        false_fail += weight * losses.sf(fewest - 1)
    return Errors(n=n, limit=limit, flips=flips, false_pass=false_pass, false_fail=false_fail)


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("n", EXAMPLES)
def test_errors_at_the_limit_keep_the_level(n, limit):
    for cell in enumerate_errors(n, limit, alpha_pass=0.05, alpha_fail=0.05):
        assert max(cell.false_pass, cell.false_fail) <= 0.05 + OMITTED, cell


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("n", [100, 300])
def test_errors_at_the_limit_keep_the_level_of_a_family_of_twenty(n, limit):
    for cell in enumerate_errors(n, limit, alpha_pass=0.01, alpha_fail=0.0025):
        assert cell.false_pass <= 0.01 + OMITTED, cell
        assert cell.false_fail <= 0.0025 + OMITTED, cell

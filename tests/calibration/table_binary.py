"""Errors and power of the exact paired test, every result enumerated."""

from __future__ import annotations

from dataclasses import dataclass

from scipy import stats
from tabulation import Table

from pytest_quantcheck.stats.binary import p_fail, p_pass
from pytest_quantcheck.stats.tango import PairedCounts

OMITTED = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """For each number of gains, from 0 on, where the verdict turns as losses grow."""

    passing: list[int]
    """Most losses that still pass; -1 for none."""
    failing: list[int]
    """Fewest losses that fail."""

    @classmethod
    def find(cls, n, limit, *, alpha_pass, alpha_fail, most_gains):
        """Find them with the p-values that `judge` compares with alpha."""

        def passes(losses, gains):
            counts = PairedCounts(losses=losses, gains=gains, n=n)
            return p_pass(counts, limit=limit, alpha=alpha_pass) <= alpha_pass

        def fails(losses, gains):
            counts = PairedCounts(losses=losses, gains=gains, n=n)
            return p_fail(counts, limit=limit, alpha=alpha_fail) <= alpha_fail

        passing, failing, most, fewest = [], [], -1, 0
        for gains in range(most_gains + 1):
            while gains + most < n and passes(most + 1, gains):
                most += 1
            while gains + fewest <= n and not fails(fewest, gains):
                fewest += 1
            passing.append(most)
            failing.append(fewest)
        return cls(passing=passing, failing=failing)


def chances(n, *, flips, drop, turns):
    """Return the chances of PASS and of FAIL; results left out count in both."""
    p_loss, p_gain = (flips + drop) / 2, (flips - drop) / 2
    passed = failed = stats.binom.sf(len(turns.passing) - 1, n, p_gain)
    for gains, (most, fewest) in enumerate(zip(turns.passing, turns.failing, strict=True)):
        weight = stats.binom.pmf(gains, n, p_gain)
        losses = stats.binom(n - gains, p_loss / (1 - p_gain))
        passed += weight * losses.cdf(most)
        failed += weight * losses.sf(fewest - 1)
    return {"pass": passed, "fail": failed}


def measure_errors(cell, _runs, _rng):
    """Return both errors where the true drop is the limit."""
    n, limit, flips = cell["n"], cell["limit"], cell["flips"]
    most_gains = int(stats.binom.isf(OMITTED, n, (flips - limit) / 2))
    turns = Turns.find(n, limit, alpha_pass=0.05, alpha_fail=0.05, most_gains=most_gains)
    found = chances(n, flips=flips, drop=limit, turns=turns)
    return {"false_pass": found["pass"], "false_fail": found["fail"]}


def cell(n, limit, flips, prototype):
    return {"n": n, "limit": limit, "flips": flips, "prototype": prototype}


TABLES = {
    "binary-errors": Table(
        cells=[
            cell(30, 0.02, 0.05, ".004 / .013"),
            cell(100, 0.01, 0.02, ".020 / .011"),
            cell(100, 0.01, 0.05, ".041 / .035"),
            cell(100, 0.02, 0.05, ".047 / .041"),
        ],
        measure=measure_errors,
        columns={
            "n": "{n:,}",
            "limit": "{limit:.2f}",
            "flips": "{flips:.2f}",
            "false PASS / false FAIL": "{false_pass:.4f} / {false_fail:.4f}",
            "prototype": "{prototype}",
        },
        nominal={"false_pass": 0.05, "false_fail": 0.05},
    ),
}

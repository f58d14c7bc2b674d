"""Figures in the text of the statistics page are computed."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from pytest_quantcheck.planning import Assumptions, needed_examples
from pytest_quantcheck.stats.mcnemar import mcnemar_p

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/explanation/statistics.md").read_text(encoding="utf-8")
TEXT = " ".join(re.sub(r"<!-- table.*?end of table -->", "", PAGE, flags=re.DOTALL).split())


def mcnemar_red(n, *, flips, drop):
    """Return how often McNemar's exact test finds a loss at .05, over all numbers of flips."""
    low, high = stats.binom.ppf([1e-6, 1 - 1e-6], n, flips)
    found = 0.0
    for discordant in range(int(low), int(high) + 1):
        losses = np.arange(discordant // 2 + 1, discordant + 1)
        fewest = next((k for k in losses if mcnemar_p(int(k), discordant - int(k)) <= 0.05), None)
        if fewest is not None:
            tail = stats.binom.sf(fewest - 1, discordant, (flips + drop) / 2 / flips)
            found += stats.binom.pmf(discordant, n, flips) * tail
    return found


@pytest.mark.parametrize(
    ("n", "flips", "drop", "percent", "is_missed"),
    [(20_000, 0.05, 0.005, 88, False), (100, 0.07, 0.05, 68, True)],
)
def test_what_mcnemar_finds_is_computed(n, flips, drop, percent, is_missed):
    found = mcnemar_red(n, flips=flips, drop=drop)

    assert round(100 * (1 - found if is_missed else found)) == percent
    assert f"{n:,} examples it" in TEXT
    assert f"in {percent} %" in TEXT


def test_chance_moves_a_difference_as_said():
    # 1,000 examples, 5 % of them changed: 1.96 standard errors
    moved = stats.norm.isf(0.025) * math.sqrt(0.05 / 1000)

    assert f"difference by {100 * moved:.1f} points in one of 20 comparisons" in TEXT


def test_a_test_without_spread_passes_as_said():
    # no change in 30 examples of which one in a hundred changes
    assert f"wrongly in {0.99**30:.0%} of the runs".replace("%", " %") in TEXT


def test_needed_examples_are_as_said():
    few, many = (
        needed_examples("max_accuracy_drop", 0.01, assuming=Assumptions(flips=flips))
        for flips in (0.02, 0.10)
    )
    assert f"Where 2 % flip, {round(few, -2):,} examples show" in TEXT
    assert f"where 10 % flip it takes {round(many, -2):,}." in TEXT


def test_thirty_nights_are_as_said():
    assert f".95³⁰ = {0.95**30:.0%}".replace("%", " %") in TEXT

"""The figures of the page on budgets are what the package computes."""

import ast
import doctest
import re
from math import ceil
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom, norm

from pytest_quantcheck.core.parse import parse_limit
from pytest_quantcheck.planning import Assumptions, needed_examples

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "how-to" / "choosing-budgets.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def table(header):
    """Return the rows below a header as lists of numbers."""
    lines = PAGE[PAGE.index(f"| budget | {header}") :].splitlines()[2:]
    rows = lines[: lines.index("")]
    return [[float(cell) for cell in re.findall(r"[\d.]+", row.replace(",", ""))] for row in rows]


def test_examples_for_a_pass_are_computed():
    rows = table("no flips")

    assert [row[0] for row in rows] == [0.01, 0.02, 0.03, 0.05]
    for limit, *shown in rows:
        computed = [
            needed_examples("max_accuracy_drop", limit, assuming=Assumptions(flips=flips))
            for flips in (0, 0.01, 0.02, 0.05, 0.10)
        ]
        assert shown == computed


def test_examples_for_a_fail_are_computed():
    rows = table("few flips")

    assert len(rows) == 4
    for limit, *shown in rows:
        computed = [
            needed_examples(
                "max_accuracy_drop",
                limit,
                true=3 * limit,
                family_size=20,
                assuming=Assumptions(flips=flips),
            )
            for flips in (0, 0.05, 0.10)
        ]
        assert shown == computed


def test_examples_in_the_text_run():
    (block,) = re.findall(r"```pycon\n(.*?)```", PAGE, re.DOTALL)
    test = doctest.DocTestParser().get_doctest(block, {}, "choosing-budgets.md", None, 0)

    assert doctest.DocTestRunner().run(test).failed == 0
    assert len(test.examples) == 6


@pytest.mark.parametrize(
    ("n", "drop", "percent"), [(50, 0.0, 14), (50, 0.03, 28), (1000, 0.03, 1.6)]
)
def test_what_a_fixed_tolerance_detects_is_computed(n, drop, percent):
    """GSM8K at 75.5 % with a relative tolerance of 8 %."""
    smallest = ceil(0.755 * 0.92 * n)

    red = binom.cdf(smallest - 1, n, 0.755 - drop)

    assert 100 * red == pytest.approx(percent, rel=0.05)
    assert f"{percent} %" in PAGE
    assert f"{percent} %" in README


def counts(*, right, flips, drop, n=1000, runs=50_000):
    """Return right answers of both, and losses and gains, in runs that answer in pairs."""
    lost, gained = (flips + drop) / 2, (flips - drop) / 2
    cells = [right - lost, lost, gained, 1 - right - gained]
    both, losses, gains, _ = np.random.default_rng(0).multinomial(n, cells, size=runs).T
    return both + losses, both + gains, losses, gains


@pytest.mark.parametrize(("drop", "percent"), [(0.03, 86), (0.04, 56)])
def test_what_a_rounded_recovery_lets_pass_is_computed(drop, percent):
    reference, variant, _, _ = counts(right=0.755, flips=0.12, drop=drop)

    passed = np.mean(np.round(variant / reference, 2) >= 0.95)

    assert 100 * passed == pytest.approx(percent, abs=1)  # 50,000 runs: twice 0.2 points
    assert f"{percent} %" in README


def test_what_an_unpaired_test_sees_is_computed():
    n = 1000
    reference, variant, losses, gains = counts(right=0.75, flips=0.05, drop=0.02)
    shares = reference / n, variant / n
    error = np.sqrt(sum(share * (1 - share) / (n - 1) for share in shares))

    unpaired = np.mean(2 * norm.sf(np.abs(shares[0] - shares[1]) / error) < 0.05)
    mcnemar = np.mean(binom.sf(losses - 1, losses + gains, 0.5) <= 0.05)

    assert 100 * unpaired == pytest.approx(0.5, abs=0.15)
    assert 100 * mcnemar == pytest.approx(87, abs=1)
    assert "0.5 % of the runs" in README
    assert "87 %" in README


def test_limits_in_markers_are_limits():
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    keywords = {
        keyword.arg: keyword.value.value
        for block in blocks
        for call in ast.walk(ast.parse(block))
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("quant_budget")
        for keyword in call.keywords
        if keyword.arg.startswith(("max_", "min_"))
    }
    keywords |= {
        keyword: float(value)
        for keyword, value in re.findall(r"`((?:max|min)_[a-z_]+)=([\d.]+)`", PAGE)
    }

    assert len(keywords) >= 5
    for keyword, value in keywords.items():
        assert parse_limit(keyword, value).keyword == keyword

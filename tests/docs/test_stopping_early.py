"""The figures of the page on early stopping."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_quantcheck.planning import Assumptions, expected_examples

PAGE = Path(__file__).parent.parent.parent / "docs" / "how-to" / "stopping-early.md"
TRUTHS = {
    "1 % flips, nothing lost": (0.01, 0.0),
    "5 % flips, nothing lost": (0.05, 0.0),
    "5 % flips, 2 points lost": (0.05, 0.02),
    "5 points lost": (0.05, 0.05),
    "25 points lost": (0.25, 0.25),
}


def rows():
    found = re.findall(r"^\| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [line.split(" | ") for line in found if line.split(" | ")[0] in TRUTHS]


def test_every_truth_has_a_row():
    assert [name for name, *_ in rows()] == [*TRUTHS]


@pytest.mark.parametrize(("column", "n"), [(1, 2000), (2, 5000), (3, 20_000)])
def test_the_table_is_what_the_function_returns(column, n):
    for row in rows():
        flips, true = TRUTHS[row[0]]
        found = expected_examples(
            "max_accuracy_drop", 0.01, n=n, true=true, assuming=Assumptions(flips=flips)
        )
        assert int(row[column].replace(",", "")) == pytest.approx(found, rel=0.001)

"""The planning figures of the page on big suites are what the package computes."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "calibration"))

import tabulate_builds  # noqa: E402 - it lies beside the simulations, outside a package

PAGE = (ROOT / "docs" / "explanation" / "families.md").read_text(encoding="utf-8")


def shown(header):
    """Return the rows below a header as lists of numbers."""
    lines = PAGE[PAGE.index(header) :].splitlines()[2:]
    rows = lines[: lines.index("")]
    return [[float(cell) for cell in re.findall(r"[\d.]+", row.replace(",", ""))] for row in rows]


def computed(name, n_keys):
    _, *rows = tabulate_builds.TABLES[name]()
    return {tuple(row[:n_keys]): row[n_keys:] for row in rows}


def test_examples_for_red_are_computed():
    found = computed("examples", 1)

    rows = shown("| `max_accuracy_drop` | m = 1 |")
    assert len(rows) == 4
    assert all(tuple(row) == found[limit,] for limit, *row in rows)


def test_chances_of_red_are_computed():
    found = computed("cliffs", 2)

    rows = shown("| `max_accuracy_drop` | n |")
    assert len(rows) == 7
    for limit, n, *chances in rows:
        assert chances == pytest.approx(found[limit, n], abs=0.0051)


def test_chances_at_the_gross_excess_are_computed_and_toothless_budgets_in_bold():
    found = computed("teeth", 3)

    rows = shown("| `max_accuracy_drop` | gross excess |")
    assert len(rows) == 9
    for limit, percent, n, *chances in rows:
        (key,) = (key for key in found if (key[0], key[2]) == (limit, n))
        assert key[1] == pytest.approx(percent / 100)
        assert chances == pytest.approx(found[key], abs=0.0051)
    bold = [float(text) for text in re.findall(r"\*\*(\.\d+)\*\*", PAGE)]
    assert sorted(bold) == sorted(c for row in rows for c in row[3:] if c < 0.5)


def test_chances_of_a_green_release_are_computed():
    found = list(computed("releases", 1).items())

    rows = shown("| examples each |")
    assert len(rows) == len(found)
    for (n, *chances), ((times,), expected) in zip(rows, found, strict=True):
        assert n == times * 3162
        assert chances == pytest.approx(expected, abs=0.0051)

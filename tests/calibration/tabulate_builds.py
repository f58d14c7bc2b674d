"""Print how suites of m budgets behave, as in docs/explanation/families.md, in Markdown.

usage: tabulate_builds.py [--jobs N] [--builds N] [--out FILE] [TABLE ...]
"""

import argparse
import sys
from multiprocessing import get_context
from pathlib import Path

import test_builds as study

from pytest_quantcheck.core.grammar import parse_limit
from pytest_quantcheck.core.verdict import Outcome
from pytest_quantcheck.planning import Assumptions, needed_examples, smallest_shown_fail
from pytest_quantcheck.stats.family import family_size, levels
from pytest_quantcheck.stats.plan import Plan
from pytest_quantcheck.stats.teeth import alternative

BUILDS = 20_000
SUITES = (1, 7, 20, 200)
BUDGETS = (0.01, 0.02, 0.03, 0.05)
KEYWORD = "max_accuracy_drop"
SCENARIOS = {
    "all exactly at their limits": study.AT_THE_LIMIT,
    "one at its limit, the others as the reference": study.ONE_AT_THE_LIMIT,
    "three 3.5 standard errors over, the others at their limits": study.THREE_REGRESSIONS,
}


def builds(n_builds=BUILDS, mapper=map):
    """Rates of whole builds; the costly table."""
    yield "budgets", "m", "correlation", "red", "green (strict)", "FAILs", "with Holm's list"
    bench = study.Bench()
    for m in (5, 20, 50, 200):
        for name, scenario in SCENARIOS.items():
            for correlation in (0.0, 0.5):
                found = study.measure(
                    study.STAKES,
                    m,
                    scenario=scenario,
                    correlation=correlation,
                    builds=n_builds,
                    bench=bench,
                    mapper=mapper,
                )
                yield name, m, correlation, found.red, found.green, found.fails, found.with_holm


def plan(value, m):
    """The budget on `value` in a suite of m."""
    return Plan(
        limit=parse_limit(KEYWORD, value),
        levels=levels(study.ALPHA, family_size(m, None)),
        assuming=Assumptions(),
    )


def cliffs():
    """Chance of FAIL where three times the limit is lost."""
    yield "limit", "n", *(f"m = {m}" for m in SUITES)
    for value in BUDGETS:
        for n in (200, 500, 1000, 2000, 5000):
            chances = (plan(value, m).chance(Outcome.FAIL, n=n, true=3 * value) for m in SUITES)
            yield value, n, *chances


def examples():
    """Examples for FAIL with 80 % power where three times the limit is lost."""
    yield "limit", *(f"m = {m}" for m in SUITES)
    for value in BUDGETS:
        yield (
            value,
            *(
                needed_examples(KEYWORD, value, true=3 * value, family_size=family_size(m, None))
                for m in SUITES
            ),
        )


def smallest():
    """Smallest drop that is FAIL with 80 % power."""
    yield "limit", "n", *(f"m = {m}" for m in SUITES)
    for value in (0.01, 0.03):
        for n in (200, 500, 1000, 2000):
            drops = (
                smallest_shown_fail(KEYWORD, value, n=n, family_size=family_size(m, None))
                for m in SUITES
            )
            yield value, n, *drops


def teeth():
    """Chance of FAIL at the gross excess by which toothless budgets are known."""
    yield "limit", "gross excess", "n", *(f"m = {m}" for m in SUITES)
    for value in BUDGETS:
        excess = alternative(parse_limit(KEYWORD, value), (0.0, 1.0))
        for n in (25, 50, 100, 200):
            chances = (plan(value, m).chance(Outcome.FAIL, n=n, true=excess) for m in SUITES)
            yield value, excess, n, *chances


def releases():
    """Chance that a strict build of m harmless variants is green, by examples."""
    yield "times the examples for one PASS", *(f"m = {m}" for m in SUITES)
    n = needed_examples(KEYWORD, 0.01)
    for times in (1.0, 1.5, 2.0, 2.5, 3.0):
        chance = plan(0.01, 1).chance(Outcome.PASS, n=round(times * n), true=0.0)
        yield times, *(chance**m for m in SUITES)


TABLES = {
    "cliffs": cliffs,
    "examples": examples,
    "smallest": smallest,
    "teeth": teeth,
    "releases": releases,
    "builds": builds,
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tables", nargs="*", default=[], metavar="TABLE", help=" ".join(TABLES))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--builds", type=int, default=BUILDS, help="simulated, for each cell")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    with get_context("spawn").Pool(asked.jobs) as pool:

        def in_parallel(function, values):
            return pool.map(function, values, chunksize=8)

        lines = []
        for name in asked.tables or TABLES:
            options = {"n_builds": asked.builds, "mapper": in_parallel} if name == "builds" else {}
            lines.append(f"{name}:")
            for row in TABLES[name](**options):
                cells = (f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in row)
                lines.append(f"| {' | '.join(cells)} |")
                sys.stdout.write(lines[-1] + "\n")
                sys.stdout.flush()
    if asked.out:
        asked.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""How suites of many budgets behave: what a family costs, and whole builds."""

from __future__ import annotations

import builds
from tabulation import Table

from pytest_quantcheck.core.grammar import parse_limit
from pytest_quantcheck.core.verdict import Outcome
from pytest_quantcheck.planning import Assumptions, needed_examples, smallest_shown_fail
from pytest_quantcheck.stats.family import family_size, levels
from pytest_quantcheck.stats.plan import Plan
from pytest_quantcheck.stats.teeth import alternative

KEYWORD = "max_accuracy_drop"
SUITES = (1, 7, 20, 200)
LIMITS = (0.01, 0.02, 0.03, 0.05)
SCENARIOS = {
    "limits": builds.AT_THE_LIMIT,
    "one": builds.ONE_AT_THE_LIMIT,
    "regressions": builds.THREE_REGRESSIONS,
}


def measure_builds(cell, runs, rng):
    """Return the rates of builds of m budgets."""
    drawn = builds.simulate(
        builds.STAKES,
        cell["m"],
        scenario=SCENARIOS[cell["scenario"]],
        correlation=cell["correlation"],
        builds=runs,
        rng=rng,
    )
    return builds.rates(drawn)


def by_suite(figure):
    """Return one figure for suites of each size."""
    return {f"m_{m}": figure(m) for m in SUITES}


def plan(limit, m):
    """Return the budget in a suite of m, with the flips that are assumed by default."""
    return Plan(
        limit=parse_limit(KEYWORD, limit),
        levels=levels(builds.ALPHA, family_size(m, None)),
        assuming=Assumptions(),
    )


def measure_cliff(cell, _runs, _rng):
    """Return the chance of FAIL where three times the limit is lost."""
    limit, n = cell["limit"], cell["n"]
    return by_suite(lambda m: plan(limit, m).chance(Outcome.FAIL, n=n, true=3 * limit))


def measure_examples(cell, _runs, _rng):
    """Return the examples for FAIL with 80 % power where three times the limit is lost."""
    limit = cell["limit"]
    return by_suite(
        lambda m: needed_examples(KEYWORD, limit, true=3 * limit, family_size=family_size(m, None))
    )


def measure_smallest(cell, _runs, _rng):
    """Return the smallest drop, in points, that is FAIL with 80 % power."""
    limit, n = cell["limit"], cell["n"]
    return by_suite(
        lambda m: 100 * smallest_shown_fail(KEYWORD, limit, n=n, family_size=family_size(m, None))
    )


def measure_teeth(cell, _runs, _rng):
    """Return the chance of FAIL at the gross excess by which toothless budgets are known."""
    limit, n = cell["limit"], cell["n"]
    excess = alternative(parse_limit(KEYWORD, limit), None)
    chances = by_suite(lambda m: plan(limit, m).chance(Outcome.FAIL, n=n, true=excess))
    return {"excess": 100 * excess, **chances}


def measure_release(cell, _runs, _rng):
    """Return the chance that a strict build of m harmless variants is green."""
    n = round(cell["times"] * needed_examples(KEYWORD, 0.01))
    chance = plan(0.01, 1).chance(Outcome.PASS, n=n, true=0.0)
    return {"n": n} | by_suite(lambda m: chance**m)


def suites(shown):
    """Return a column for suites of each size."""
    return {f"m = {m}": f"{{m_{m}:{shown}}}" for m in SUITES}


def build_cells(scenario, prototypes=None):
    return [
        {"scenario": scenario, "m": m, "correlation": correlation}
        | ({"prototype": prototypes.get((m, correlation))} if prototypes else {})
        for m in (5, 20, 50, 200)
        for correlation in (0.0, 0.5)
    ]


PLAN = "Planned with 5 % flips, by the functions behind `--quant-plan`."
LIMIT = {"`max_accuracy_drop`": "`{limit}`"}
BUILD = {"budgets": "{m}", "correlation": "{correlation:.1f}"}
TABLES = {
    "family-examples": Table(
        cells=[{"limit": limit} for limit in LIMITS],
        measure=measure_examples,
        how=PLAN,
        columns=LIMIT | suites(",.0f"),
    ),
    "family-cliffs": Table(
        cells=[
            {"limit": limit, "n": n}
            for limit, n in (
                (0.01, 500), (0.01, 1000), (0.01, 2000), (0.01, 5000), (0.02, 200), (0.02, 500),
                (0.02, 1000), (0.03, 200), (0.03, 500), (0.05, 200),
            )
        ],
        measure=measure_cliff,
        how=PLAN,
        columns=LIMIT | {"n": "{n:,}"} | suites(".2f"),
    ),
    "family-smallest": Table(
        cells=[{"limit": limit, "n": n} for limit in (0.01, 0.03) for n in (200, 500, 1000, 2000)],
        measure=measure_smallest,
        how=PLAN,
        columns=LIMIT | {"n": "{n:,}"} | suites(".1f"),
    ),
    "family-teeth": Table(
        cells=[{"limit": limit, "n": n} for limit in (0.01, 0.03, 0.05) for n in (50, 100, 200)],
        measure=measure_teeth,
        how=PLAN,
        columns=LIMIT | {"gross excess": "{excess:.0f} pp", "n": "{n:,}"} | suites(".2f"),
    ),
    "family-releases": Table(
        cells=[{"times": times} for times in (1.0, 1.5, 2.0, 2.5, 3.0)],
        measure=measure_release,
        how=PLAN,
        columns={"examples each": "{n:,.0f}"} | suites(".2f"),
    ),
    "builds-at-limits": Table(
        cells=build_cells(
            "limits",
            {
                (5, 0.0): ".049", (5, 0.5): ".038", (20, 0.0): ".050", (20, 0.5): ".032",
                (50, 0.0): ".049", (50, 0.5): ".028",
            },
        ),
        measure=measure_builds,
        columns=BUILD | {"any false FAIL": "{red:.4f}", "prototype": "{prototype}"},
        runs=20_000,
        simulated="builds",
        nominal={"red": builds.ALPHA},
    ),
    "builds-one-over": Table(
        cells=build_cells("one"),
        measure=measure_builds,
        columns=BUILD | {"green": "{green:.4f}"},
        runs=20_000,
        simulated="builds",
        nominal={"green": builds.ALPHA},
    ),
    "builds-regressions": Table(
        cells=build_cells(
            "regressions",
            {
                (5, 0.0): ".998", (20, 0.0): ".987; 2.31, 2.34 with Holm's", (50, 0.0): ".961",
            },
        ),
        measure=measure_builds,
        columns=BUILD
        | {
            "red": "{red:.4f}",
            "FAILs": "{fails:.2f}",
            "with Holm's list": "{listed:.2f}",
            "prototype": "{prototype}",
        },
        runs=20_000,
        simulated="builds",
    ),
}  # fmt: skip
PLANNED = [name for name, table in TABLES.items() if not table.runs]

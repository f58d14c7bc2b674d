"""Early stopping: how often it is right, and how many examples it takes."""

from __future__ import annotations

import numpy as np
from sequential_counts import Course, draw_counts, run
from tabulation import Table

from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.sequential.dataset import find_certain, growth_of_draws
from pytest_quantcheck.stats.sequential.wealth import log_mixture

LIMIT = 0.01
LEVELS = levels(0.05, 1)
CHUNK = 200

FOUND = {
    (1000, 0.01, 0.0): (".831, 78", ".879"),
    (1000, 0.01, 0.5): (".325, 95", ".373"),
    (1000, 0.02, 2): (".863, 70", ".852"),
    (1000, 0.05, 5): ("1.0, 29", "1.0"),
    (1000, 0.05, 0.0): (".361, 92", ".391"),
    (1000, 0.05, 0.5): (".152, 97", ".163"),
    (1000, 0.05, 2): (".380, 91", ".426"),
    (1000, 0.10, 0.0): (".230, 95", ".257"),
    (1000, 0.10, 2): (".237, 95", ".260"),
    (1000, 0.10, 5): (".991, 52", ".994"),
    (2000, 0.01, 0.0): (".990, 58", ".993"),
    (2000, 0.02, 2): (".978, 53", None),
    (2000, 0.05, 5): ("1.0, 15", None),
    (2000, 0.10, 5): ("1.0, 35", None),
    (5000, 0.01, 0.0): ("1.0, 32", "1.0"),
    (5000, 0.01, 0.5): (".935, 66", ".950"),
    (5000, 0.02, 2): ("1.0, 31", "1.0"),
    (5000, 0.05, 0.0): (".917, 66", ".931"),
    (5000, 0.05, 0.5): (".427, 90", ".461"),
    (5000, 0.05, 2): (".926, 63", ".948"),
    (5000, 0.05, 5): ("1.0, 6", "1.0"),
    (5000, 0.10, 0.0): (".681, 80", ".726"),
    (5000, 0.10, 2): (".696, 79", ".727"),
    (5000, 0.10, 5): ("1.0, 17", "1.0"),
}
"""By examples, flips and drop in limits: what the prototype found, early and with all examples."""


def courses(n):
    """Return batches as the prototype had them, and as they are shipped."""
    return {"": Course.of_prototype(n), "shipped_": Course.shipped(n)}


def simulate(cell, runs, rng, course, **options):
    """Return where runs of a cell stop."""
    drop = cell["drop"] * LIMIT
    losses, gains = draw_counts(rng, runs, flips=cell["flips"], drop=drop, ends=course.ends)
    return run(losses, gains, course=course, limit=LIMIT, levels=LEVELS, **options)


def measure_savings(cell, runs, rng):
    """Return the share of right verdicts and the examples used, as a part of all."""
    right, found = 1 if cell["drop"] < 1 else -1, {}
    for name, course in courses(cell["n"]).items():
        stops = simulate(cell, runs, rng, course)
        found[f"{name}right"] = np.mean(stops.outcome == right)
        found[f"{name}wrong"] = np.mean(stops.outcome == -right)
        found[f"{name}used"] = np.mean(stops.n) / cell["n"]
    return found


def measure_asymptotic(cell, runs, rng):
    """Return right verdicts and examples used with the prototype's batches and p-values."""
    right = 1 if cell["drop"] < 1 else -1
    course = Course.of_prototype(cell["n"])
    stops = simulate(cell, runs, rng, course, is_exact=False)
    return {"right": np.mean(stops.outcome == right), "used": np.mean(stops.n) / cell["n"]}


def measure_errors(cell, runs, rng):
    """Return both errors where the true drop is the limit."""
    found = {}
    for name, course in courses(cell["n"]).items():
        stops = simulate(cell | {"drop": 1.0}, runs, rng, course)
        found[f"{name}false_pass"] = np.mean(stops.outcome == 1)
        found[f"{name}false_fail"] = np.mean(stops.outcome == -1)
    return found


def measure_dataset(cell, runs, rng):
    """Return the share of wrong verdicts on a given set, and the examples used, as a part of all.

    Without the floor of 300 examples, and with it.
    """
    n, flips = cell["n"], cell["flips"]
    drop = round(n * LIMIT * cell["drop"]) + cell.get("more", 0)
    losses = max(drop, round((n * flips + drop) / 2))
    gains = losses - drop
    right = 1 if drop <= n * LIMIT + 1e-9 else -1
    found = dict.fromkeys(("wrong", "used", "shipped_wrong", "shipped_used"), 0.0)
    for start in range(0, runs, CHUNK):
        count = min(CHUNK, runs - start)
        outcome = draw_outcomes(rng, count, n=n, losses=losses, gains=gains)
        for name, course in courses(n).items():
            at = np.array(course.ends)
            seen = outcome[:, at - 1]
            first = np.argmax(seen != 0, axis=1)
            decided = np.take_along_axis(seen, first[:, None], axis=1)[:, 0]
            found[f"{name}wrong"] += float(np.sum(decided == -right)) / runs
            found[f"{name}used"] += float(np.sum(at[first])) / n / runs
    return found


def draw_outcomes(rng, runs, *, n, losses, gains):
    """Return (runs, n) 1, -1 or 0: what is known after each example of sets in random order."""
    scores = np.repeat([1.0, -1.0, 0.0], [losses, gains, n - losses - gains])
    excesses = rng.permuted(np.tile(scores, (runs, 1)), axis=1) - LIMIT
    lowest, highest = -1 - LIMIT, 1 - LIMIT
    growth = growth_of_draws(excesses, n_drawn=n, lowest=lowest, highest=highest)
    passing = log_mixture(np.cumsum(growth.towards_pass, axis=-1))
    failing = log_mixture(np.cumsum(growth.towards_fail, axis=-1))
    certain = find_certain(
        np.cumsum(excesses, axis=1),
        n=n,
        to_come=n - 1 - np.arange(n),
        lowest=lowest,
        highest=highest,
    )
    outcome = np.where(passing >= -np.log(LEVELS.alpha_pass), 1, 0)
    outcome = np.where(failing >= -np.log(LEVELS.alpha_fail), -1, outcome)
    outcome = np.where(certain.is_pass, 1, outcome)
    return np.where(certain.is_fail, -1, outcome)


def raised(flips, drop):
    """Return the rate of flips, which is at least the drop."""
    return max(flips, abs(drop) * LIMIT)


DATASET = {
    (500, 0.01): (79, 73, 31),
    (500, 0.05): (92, 90, 31),
    (1000, 0.01): (55, 52, 17),
    (1000, 0.05): (81, 79, 17),
    (1000, 0.10): (89, 89, 33),
    (5000, 0.01): (18, 17, 4),
    (5000, 0.05): (43, 41, 4),
    (5000, 0.10): (60, 59, 9),
}
"""By examples and flips: examples used in % for drops of 0, 2 and 5 limits, of the prototype."""
SAVINGS = {
    "n": "{n:,}",
    "flips": "{flips:.2f}",
    "drop / limit": "{drop}",
    "right verdicts, part of all examples used": "{right:.3f}, {used:.0%}",
    "prototype": "{prototype} %",
    "as shipped": "{shipped_right:.3f}, {shipped_used:.0%}",
    "all examples (prototype)": "{whole}",
}
TABLES = {
    "sequential-savings": Table(
        cells=[
            {"n": n, "flips": flips, "drop": drop, "prototype": early, "whole": whole}
            for (n, flips, drop), (early, whole) in FOUND.items()
        ],
        measure=measure_savings,
        columns=SAVINGS,
        runs=10_000,
    ),
    "sequential-asymptotic": Table(
        cells=[
            {"n": n, "flips": flips, "drop": drop, "prototype": FOUND[n, flips, drop][0]}
            for n, flips, drop in FOUND
            if flips <= 0.02 and n < 5000
        ],
        measure=measure_asymptotic,
        columns={
            "n": "{n:,}",
            "flips": "{flips:.2f}",
            "drop / limit": "{drop}",
            "right verdicts, part of all examples used": "{right:.3f}, {used:.0%}",
            "prototype": "{prototype} %",
        },
        runs=10_000,
    ),
    "sequential-errors": Table(
        cells=[{"n": n, "flips": flips} for n in (1000, 2000, 5000) for flips in (0.01, 0.05, 0.1)],
        measure=measure_errors,
        columns={
            "n": "{n:,}",
            "flips": "{flips:.2f}",
            "batches of 32: false PASS / false FAIL": "{false_pass:.4f} / {false_fail:.4f}",
            "as shipped": "{shipped_false_pass:.4f} / {shipped_false_fail:.4f}",
        },
        runs=10_000,
        nominal=dict.fromkeys(
            ("false_pass", "false_fail", "shipped_false_pass", "shipped_false_fail"), 0.05
        ),
    ),
    "sequential-dataset": Table(
        cells=[
            {"n": n, "flips": raised(flips, drop), "drop": drop, "prototype": used}
            for (n, flips), prototype in DATASET.items()
            for drop, used in zip((0, 2, 5), prototype, strict=True)
            if raised(flips, drop) == flips or (n, raised(flips, drop)) not in DATASET
        ]
        + [
            {"n": n, "flips": max(flips, LIMIT + 1 / n), "drop": 1, "more": more}
            for n, flips in DATASET
            for more in (0, 1)
        ],
        measure=measure_dataset,
        columns={
            "n": "{n:,}",
            "flips": "{flips:.3f}",
            "drop / limit": "{drop}",
            "and examples": "{more}",
            "wrong": "{wrong:.4f}",
            "examples used": "{used:.0%}",
            "prototype, %": "{prototype}",
            "as shipped: wrong": "{shipped_wrong:.4f}",
            "examples used ": "{shipped_used:.0%}",
        },
        runs=10_000,
        parts=5,
        nominal={"wrong": 0.05, "shipped_wrong": 0.05},
    ),
}

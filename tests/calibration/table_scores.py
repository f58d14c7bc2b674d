"""Errors of scores most of which do not change, and of shares of examples."""

from __future__ import annotations

import numpy as np
from scipy import stats
from simulated import Drawn
from tabulation import Table

from pytest_quantcheck.core.limit import Bound
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.means import MeanQuestion, p_values
from pytest_quantcheck.stats.proportion import estimate_share

LEVELS = levels(0.05, 1)


def rare_drops(rng, n, share):
    """Return scores in [0, 1] of which a share falls, by .5 on average."""
    falls = rng.random(n) < share
    reference = np.ones(n)
    variant = reference - falls * rng.random(n)
    return Drawn(metric="score", reference=reference, variant=variant, bounds=(0.0, 1.0))


def t_errors(values, limit):
    """Return whether one-sided t-tests of each row (r, n) pass, and whether they fail."""
    n, mean = values.shape[1], values.mean(axis=1)
    with np.errstate(divide="ignore"):
        t = (mean - limit) / (values.std(axis=1, ddof=1) / np.sqrt(n))
    bar = stats.t.isf(0.05, n - 1)
    return float(np.mean(t <= -bar)), float(np.mean(t >= bar))


def rare_rates(runs, rng, *, n, share, limit):
    """Return the shares of PASS and of FAIL, by the p-values alone."""
    passed = failed = 0
    for _ in range(runs):
        drawn = rare_drops(rng, n, share)
        question = MeanQuestion(
            values=drawn.reference - drawn.variant,
            weights=np.ones(n),
            clusters=None,
            limit=limit,
            reach=1.0,
            losses=0,
            counts_ties=True,
            compares=True,
            levels=LEVELS,
        )
        found = p_values(question)
        passed += found.p_pass <= LEVELS.alpha_pass
        failed += found.p_fail <= LEVELS.alpha_fail
    return {"pass": passed / runs, "fail": failed / runs}


def measure_rare(cell, runs, rng):
    """Return errors where the drop is the limit, and power where it is a third of it."""
    n, share = cell["n"], cell["share"]
    found = rare_rates(runs, rng, n=n, share=share, limit=share / 2)
    power = rare_rates(runs, rng, n=n, share=share, limit=3 * share / 2)
    t_pass, t_fail = t_errors((rng.random((runs, n)) < share) * rng.random((runs, n)), share / 2)
    return {
        "false_pass": found["pass"],
        "false_fail": found["fail"],
        "power": power["pass"],
        "t_pass": t_pass,
        "t_fail": t_fail,
    }


def measure_share(cell, _runs, _rng):
    """Return errors of an exact test of a share, every number of hits enumerated."""
    n, limit, wrong = cell["n"], cell["limit"], np.zeros(2)
    for hits in range(n + 1):
        found = estimate_share(hits, n, limit=limit, bound=Bound.UPPER, levels=LEVELS)
        verdicts = found.p_pass <= LEVELS.alpha_pass, found.p_fail <= LEVELS.alpha_fail
        wrong += stats.binom.pmf(hits, n, limit) * np.array(verdicts)
    return {"false_pass": wrong[0], "false_fail": wrong[1]}


PROTOTYPE = {
    (0.05, 50): ".176 / .013",
    (0.05, 100): ".094 / .025",
    (0.05, 300): ".062 / .038",
    (0.05, 1000): ".059 / .045",
    (0.02, 50): ".409 / .003",
}
"""Errors of the t-test; the prototype's bets passed wrongly in .003 at most."""

TABLES = {
    "rare-scores": Table(
        cells=[
            {"share": share, "n": n, "prototype": PROTOTYPE.get((share, n))}
            for share in (0.02, 0.05, 0.2)
            for n in (50, 100, 300, 1000)
        ],
        measure=measure_rare,
        columns={
            "changed": "{share:.2f}",
            "n": "{n:,}",
            "false PASS / false FAIL": "{false_pass:.3f} / {false_fail:.3f}",
            "power at a third of the limit": "{power:.2f}",
            "t-test": "{t_pass:.3f} / {t_fail:.3f}",
            "prototype of the t-test": "{prototype}",
        },
        runs=10_000,
        parts=4,
        nominal={"false_pass": 0.05, "false_fail": 0.05},
    ),
    "share": Table(
        cells=[
            {"n": n, "limit": limit}
            for n in (30, 100, 300, 1000)
            for limit in (0.01, 0.05, 0.1, 0.5)
        ],
        measure=measure_share,
        columns={
            "n": "{n:,}",
            "limit": "{limit:.2f}",
            "false PASS / false FAIL": "{false_pass:.4f} / {false_fail:.4f}",
        },
        nominal={"false_pass": 0.05, "false_fail": 0.05},
    ),
}

"""Errors and power of the exact paired test, every result enumerated."""

from __future__ import annotations

import math

import numpy as np
from scipy import special, stats
from tabulation import Table
from turning_points import PairedTest, chance_of_fail, chance_of_pass

from pytest_quantcheck.stats.power import needed_pairs
from pytest_quantcheck.stats.tango import score_z

FAMILY = 20
LIMITS = (0.01, 0.02, 0.05)
FLIPS = (0.01, 0.02, 0.05, 0.10)
EXAMPLES = (30, 100, 200, 300, 500, 1000, 2000)


def shares(flips, drop):
    return {"p_loss": (flips + drop) / 2, "p_gain": (flips - drop) / 2}


def errors(n, limit, flips, *, alpha=0.05):
    """Return both errors where the true drop is the limit."""
    test = PairedTest(n=n, limit=limit, alpha=alpha)
    where = shares(flips, limit)
    return {"pass": chance_of_pass(test, **where), "fail": chance_of_fail(test, **where)}


def textbook_errors(n, limit, flips):
    """Return both errors of Tango's large-sample test and of a paired t-test."""
    p_loss, p_gain = shares(flips, limit).values()
    most = int(stats.binom.isf(1e-9, n, p_loss))
    losses, gains = np.meshgrid(np.arange(most + 1), np.arange(most + 1), indexing="ij")
    possible = losses + gains <= n
    losses, gains = losses[possible], gains[possible]
    ways = special.gammaln(n + 1) - special.gammaln(losses + 1) - special.gammaln(gains + 1)
    log_chances = ways - special.gammaln(n - losses - gains + 1) + special.xlogy(losses, p_loss)
    log_chances += special.xlogy(gains, p_gain) + special.xlog1py(n - losses - gains, -flips)
    chances = np.exp(log_chances)
    z = score_z(losses, gains, n=n, limit=limit)
    mean = (losses - gains) / n
    error = np.sqrt(((losses + gains) / n - mean**2) / (n - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(mean == limit, 0.0, (mean - limit) / error)
    bar = stats.norm.isf(0.05), stats.t.isf(0.05, n - 1)
    return {
        "tango_pass": float(chances[z <= -bar[0]].sum()),
        "tango_fail": float(chances[z >= bar[0]].sum()),
        "t_pass": float(chances[t <= -bar[1]].sum()),
        "t_fail": float(chances[t >= bar[1]].sum()),
    }


def measure_errors(cell, _runs, _rng):
    n, limit, flips = cell["n"], cell["limit"], cell["flips"]
    exact = errors(n, limit, flips)
    return {
        "false_pass": exact["pass"],
        "false_fail": exact["fail"],
        **textbook_errors(n, limit, flips),
    }


def measure_worst(cell, _runs, _rng):
    """Return the largest errors over the rates of flips, also at the level of a family."""
    n, limit = cell["n"], cell["limit"]
    found = [errors(n, limit, flips) for flips in FLIPS if flips >= limit]
    strict = [errors(n, limit, flips, alpha=0.05 / FAMILY) for flips in FLIPS if flips >= limit]
    return {
        "false_pass": max(error["pass"] for error in found),
        "false_fail": max(error["fail"] for error in found),
        "family_fail": max(error["fail"] for error in strict),
    }


def measure_power(cell, _runs, _rng):
    """Return the chance of the right verdict."""
    test = PairedTest(n=cell["n"], limit=cell["limit"], alpha=cell.get("alpha", 0.05))
    chance = chance_of_pass if cell["drop"] < cell["limit"] else chance_of_fail
    return {"power": chance(test, **shares(cell["flips"], cell["drop"]))}


def measure_plan(cell, _runs, _rng):
    """Return the number of examples that is planned for 80 % power, and the power there."""
    losses, gains = shares(cell["flips"], cell["drop"]).values()
    n = math.ceil(needed_pairs(losses, gains, limit=cell["limit"], alpha=cell["alpha"]))
    return {"n": n} | measure_power({**cell, "n": n}, 0, None)


def measure_growth(cell, _runs, _rng):
    """Return chances of PASS without a drop, and of FAIL at three points in a family."""
    n = cell["n"]
    kept, cliff = (PairedTest(n=n, limit=0.01, alpha=0.05 / m) for m in (1, FAMILY))
    found = {}
    for percent in (2, 5, 10):
        flips = percent / 100
        found[f"pass_{percent}"] = chance_of_pass(kept, **shares(flips, 0.0))
        found[f"fail_{percent}"] = chance_of_fail(cliff, **shares(max(flips, 0.03), 0.03))
    return found


def errors_cell(n, limit, flips, exact, tango, t):
    return {"n": n, "limit": limit, "flips": flips} | {"exact": exact, "tango": tango, "t": t}


def power_cell(n, flips, drop, prototype):
    cell = {"n": n, "limit": 0.01, "flips": flips, "drop": drop}
    return cell if prototype is None else cell | {"prototype": prototype}


def plan_cell(flips, drop, limit, alpha, planned, prototype):
    cell = {"flips": flips, "drop": drop, "limit": limit, "alpha": alpha}
    return cell | {"planned": planned, "prototype": prototype}


TABLES = {
    "binary-errors": Table(
        cells=[
            errors_cell(30, 0.01, 0.01, "0 / .000", "0 / .000", ".740 / .000"),
            errors_cell(30, 0.02, 0.05, ".004 / .013", ".004 / .013", ".242 / .013"),
            errors_cell(100, 0.01, 0.02, ".020 / .011", ".021 / .040", ".221 / .011"),
            errors_cell(100, 0.01, 0.05, ".041 / .035", ".055 / .059", ".073 / .035"),
            errors_cell(100, 0.02, 0.05, ".047 / .041", ".047 / .072", ".080 / .041"),
            errors_cell(200, 0.01, 0.01, "0 / .016", "0 / .052", ".134 / .016"),
            errors_cell(200, 0.01, 0.02, ".044 / .035", ".044 / .073", ".089 / .035"),
            errors_cell(500, 0.01, 0.01, ".040 / .031", ".040 / .067", ".123 / .013"),
            errors_cell(500, 0.01, 0.05, ".050 / .045", ".050 / .053", ".056 / .048"),
            errors_cell(1000, 0.01, 0.01, ".029 / .048", ".029 / .048", ".066 / .026"),
            errors_cell(1000, 0.01, 0.10, ".050 / .050", ".050 / .050", ".051 / .050"),
            errors_cell(2000, 0.02, 0.02, ".042 / .037", ".042 / .051", ".060 / .037"),
        ],
        measure=measure_errors,
        columns={
            "n": "{n:,}",
            "limit": "{limit:.2f}",
            "flips": "{flips:.2f}",
            "exact: false PASS / false FAIL": "{false_pass:.4f} / {false_fail:.4f}",
            "prototype": "{exact}",
            "Tango, large sample": "{tango_pass:.4f} / {tango_fail:.4f}",
            "prototype ": "{tango}",
            "paired t-test": "{t_pass:.4f} / {t_fail:.4f}",
            "prototype  ": "{t}",
        },
        nominal={"false_pass": 0.05, "false_fail": 0.05},
    ),
    "binary-worst": Table(
        cells=[{"n": n, "limit": limit} for n in EXAMPLES for limit in LIMITS],
        measure=measure_worst,
        columns={
            "n": "{n:,}",
            "limit": "{limit:.2f}",
            "false PASS": "{false_pass:.4f}",
            "false FAIL": "{false_fail:.4f}",
            "false FAIL at .0025": "{family_fail:.5f}",
        },
        nominal={"false_pass": 0.05, "false_fail": 0.05, "family_fail": 0.05 / FAMILY},
    ),
    "binary-power": Table(
        cells=[
            power_cell(n, flips, drop, prototype)
            for n, flips, drop, prototype in (
                (1000, 0.01, 0.0, ".879"),
                (1000, 0.01, 0.005, ".373"),
                (1000, 0.02, 0.02, ".852"),
                (1000, 0.05, 0.0, ".391"),
                (1000, 0.05, 0.005, ".163"),
                (1000, 0.05, 0.02, ".426"),
                (1000, 0.05, 0.05, "1.0"),
                (1000, 0.10, 0.0, ".257"),
                (1000, 0.10, 0.02, ".260"),
                (1000, 0.10, 0.05, ".994"),
                (2000, 0.01, 0.0, ".993"),
                (5000, 0.01, 0.005, ".950"),
                (5000, 0.05, 0.0, ".931"),
                (5000, 0.05, 0.005, ".461"),
                (5000, 0.05, 0.02, ".948"),
                (5000, 0.10, 0.0, ".726"),
                (5000, 0.10, 0.02, ".727"),
            )
        ],
        measure=measure_power,
        columns={
            "n": "{n:,}",
            "flips": "{flips:.2f}",
            "true drop": "{drop:.3f}",
            "chance of the right verdict": "{power:.3f}",
            "prototype": "{prototype}",
        },
    ),
    "binary-plan": Table(
        cells=[
            plan_cell(0.01, 0.0, 0.01, 0.05, "856", ".836"),
            plan_cell(0.02, 0.0, 0.01, 0.05, "1,397", ".814"),
            plan_cell(0.05, 0.0, 0.01, 0.05, "3,162", ".803"),
            plan_cell(0.10, 0.0, 0.01, 0.05, "6,215", ".801"),
            plan_cell(0.05, 0.0, 0.02, 0.05, "837", ".810"),
            plan_cell(0.10, 0.0, 0.02, 0.05, "1,578", ".804"),
            plan_cell(0.02, 0.02, 0.01, 0.05, "802", ".812"),
            plan_cell(0.05, 0.02, 0.01, 0.05, "2,998", ".804"),
            plan_cell(0.05, 0.03, 0.01, 0.0025, "1,548", ".815"),
        ],
        measure=measure_plan,
        columns={
            "flips": "{flips:.2f}",
            "true drop": "{drop:.2f}",
            "limit": "{limit:.2f}",
            "level": "{alpha:.4g}",
            "planned n": "{n:,.0f}",
            "prototype": "{planned}",
            "power there": "{power:.3f}",
            "prototype, of Tango's test": "{prototype}",
        },
    ),
    "power-by-examples": Table(
        cells=[{"n": n} for n in (100, 200, 300, 500, 700, 1000, 1500, 2000, 3000, 5000, 7000,
                                  10_000)],
        measure=measure_growth,
        columns={
            "examples": "{n:,}",
            "2 % flips: PASS": "{pass_2:.2f}",
            "5 %": "{pass_5:.2f}",
            "10 %": "{pass_10:.2f}",
            "3 % flips: FAIL": "{fail_2:.2f}",
            "5 % ": "{fail_5:.2f}",
            "10 % ": "{fail_10:.2f}",
        },
    ),
}  # fmt: skip

"""Errors and power of tests of divergences: skewed means, simulated, and quantiles, enumerated."""

import numpy as np
from scipy import stats
from tabulation import Table

from pytest_quantcheck.core.budget import Gate
from pytest_quantcheck.stats.ratio_mean import ClusterSums
from pytest_quantcheck.stats.skewed_mean import estimate_skewed_ratio_mean
from pytest_quantcheck.stats.timing.percentile import RunsOver

ALPHA = 0.05


def log_normal(sigma):
    """Return a distribution with mean 1."""
    return lambda rng, n: rng.lognormal(-(sigma**2) / 2, sigma, n)


def pareto(rng, n):
    """Return Pareto values with shape 3, scaled to mean 1."""
    return (1 + rng.pareto(3, n)) * 2 / 3


DISTRIBUTIONS = {
    "log-normal, sigma 0.5": log_normal(0.5),
    "log-normal, sigma 1": log_normal(1.0),
    "log-normal, sigma 1.5": log_normal(1.5),
    "log-normal, sigma 2": log_normal(2.0),
    "Pareto, shape 3": pareto,
}


def rates(draw, runs, rng, *, n, limit):
    """Return shares of PASS by the p-value alone and under either gate, and of FAIL."""
    counts = dict.fromkeys(("unguarded", "regression", "strict", "fail"), 0)
    for _ in range(runs):
        means = ClusterSums(sums=draw(rng, n), sizes=np.ones(n))
        found = estimate_skewed_ratio_mean(means, least=0.0)
        counts["fail"] += found.p_fail(limit) <= ALPHA
        if found.p_pass(limit) <= ALPHA:
            counts["unguarded"] += 1
            for gate in Gate:
                counts[gate.value] += n >= found.examples_for_pass(gate)
    return {name: count / runs for name, count in counts.items()}


def measure_means(cell, runs, rng):
    """Return errors where the true mean is the limit, and power where it is half of it."""
    draw, n = DISTRIBUTIONS[cell["distribution"]], cell["n"]
    power = rates(draw, runs, rng, n=n, limit=2.0)
    found = rates(draw, runs, rng, n=n, limit=1.0)
    return found | {"power": power["regression"], "strict_power": power["strict"]}


def measure_quantiles(cell, _runs, _rng):
    """Return the chances of a false PASS and a false FAIL where the limit is the quantile."""
    n, quantile = cell["n"], cell["quantile"]
    over = np.arange(n + 1)
    chances = stats.binom.pmf(over, n, 1 - quantile)
    tests = RunsOver(n=n, share=1 - quantile, weight=1.0)
    false_pass, false_fail = (
        float(chances @ (p(over) <= ALPHA)) for p in (tests.p_pass, tests.p_fail)
    )
    return {"false_pass": false_pass, "false_fail": false_fail}


PROTOTYPE = {
    ("log-normal, sigma 0.5", 30): (".062", ".061", ".83"),
    ("log-normal, sigma 0.5", 300): (".048", ".048", "1"),
    ("log-normal, sigma 1", 100): (".077", ".075", ".60"),
    ("log-normal, sigma 1", 1000): (".054", ".054", ".97"),
    ("log-normal, sigma 1.5", 100): (".114", ".073", ".20"),
    ("log-normal, sigma 1.5", 1000): (".070", ".070", ".66"),
    ("log-normal, sigma 2", 100): (".170", ".043", ".06"),
    ("log-normal, sigma 2", 1000): (".119", ".088", ".28"),
    ("Pareto, shape 3", 300): (".069", ".068", ".73"),
}
"""False PASS without and with the rule of the regression gate, and power with it."""
OF_P95 = {60: ".046 / .030", 130: ".040 / .030", 300: ".034 / .049", 1000: ".043 / .038"}

TABLES = {
    "skewed-mean": Table(
        cells=[
            {"distribution": name, "n": n}
            | dict(zip(("bare", "guarded", "shown"), PROTOTYPE.get((name, n), ()), strict=False))
            for name in DISTRIBUTIONS
            for n in (30, 100, 300, 1000)
        ],
        measure=measure_means,
        columns={
            "distribution": "{distribution}",
            "n": "{n:,}",
            "false PASS: no rule": "{unguarded:.3f}",
            "prototype": "{bare}",
            "regression": "{regression:.3f}",
            "prototype ": "{guarded}",
            "strict": "{strict:.3f}",
            "false FAIL": "{fail:.3f}",
            "power: regression": "{power:.2f}",
            "prototype  ": "{shown}",
            "power: strict": "{strict_power:.2f}",
        },
        runs=10_000,
        parts=2,
        nominal={"regression": 0.05, "strict": 0.05, "fail": 0.05},
    ),
    "quantile": Table(
        cells=[
            {"n": n, "quantile": quantile} | ({"prototype": OF_P95[n]} if quantile == 0.95 else {})
            for quantile in (0.5, 0.95, 0.99)
            for n in OF_P95
        ],
        measure=measure_quantiles,
        columns={
            "quantile": "{quantile:.2f}",
            "n": "{n:,}",
            "false PASS / false FAIL": "{false_pass:.4f} / {false_fail:.4f}",
            "prototype": "{prototype}",
        },
        nominal={"false_pass": 0.05, "false_fail": 0.05},
    ),
}

"""Errors of recoveries at the limit: enumerated for answers, simulated in clusters.

Examples that neither has right change nothing, so n counts the others. For a fixed share of gains
a worse recovery means more losses and fewer PASS: no point beyond the limit is worse than on it.
"""

from __future__ import annotations

import numpy as np
from scipy import stats
from simulated import Drawn, cluster_rates, clustered_rates
from tabulation import Table
from turning_points import PairedTest, chance_of_fail, chance_of_pass

GAINS = (0.0, 0.002, 0.01, 0.05)


def errors(n, recovery, gains, *, alpha=0.05):
    """Return both errors where the true recovery is the limit and a share of `gains` comes back."""
    test = PairedTest(n=n, limit=1 - recovery, alpha=alpha, is_relative=True)
    where = {"p_loss": (1 - recovery) + recovery * gains, "p_gain": gains}
    return {"pass": chance_of_pass(test, **where), "fail": chance_of_fail(test, **where)}


def contrast_error(n, recovery):
    """Return the false PASS of a t-test of limit·reference - variant, where nothing comes back."""
    losses = np.arange(n + 1)
    excess, error = losses / n - (1 - recovery), np.sqrt(losses / n * (1 - losses / n) / (n - 1))
    with np.errstate(divide="ignore"):
        passes = excess / error <= -stats.t.isf(0.05, n - 1)
    return float(stats.binom.pmf(losses, n, 1 - recovery)[passes].sum())


def measure_recovery(cell, _runs, _rng):
    """Return the largest errors over the shares of gains."""
    n, recovery = cell["n"], cell["recovery"]
    found = [errors(n, recovery, gains) for gains in GAINS]
    return {
        "false_pass": max(error["pass"] for error in found),
        "false_fail": max(error["fail"] for error in found),
        "contrast": contrast_error(n, recovery),
    }


def answers(rng, n_clusters, size, *, recovery, correlation):
    """Return answers of which the reference has 80 % right, and losses correlate in clusters."""
    lost = cluster_rates(rng, n_clusters, rate=1 - recovery, correlation=correlation)
    clusters = np.repeat(np.arange(n_clusters), size)
    reference = (rng.random(clusters.size) < 0.8).astype(float)
    variant = reference * (rng.random(clusters.size) >= lost[clusters])
    return Drawn(metric="accuracy", reference=reference, variant=variant, clusters=clusters)


def measure_clusters(cell, runs, rng):
    """Return errors at a limit of .95, by the contrast that a recovery is decided by."""

    def draw():
        size, correlation = cell["size"], cell["correlation"]
        return answers(rng, cell["clusters"], size, recovery=0.95, correlation=correlation)

    found = clustered_rates(draw, runs, limit=1 - 0.95, is_relative=True)
    return {"false_pass": found["pass"], "false_fail": found["fail"]}


TABLES = {
    "recovery-worst": Table(
        cells=[
            {"n": n, "recovery": recovery}
            for n in (30, 100, 300, 1000)
            for recovery in (0.90, 0.95, 0.99)
        ],
        measure=measure_recovery,
        columns={
            "n": "{n:,}",
            "limit": "{recovery:.2f}",
            "false PASS / false FAIL": "{false_pass:.4f} / {false_fail:.4f}",
            "false PASS of a t-test of the contrast": "{contrast:.4f}",
        },
        nominal={"false_pass": 0.05, "false_fail": 0.05},
    ),
    "recovery-clusters": Table(
        cells=[
            {"clusters": clusters, "size": size, "correlation": correlation}
            for clusters, size in ((20, 10), (50, 10), (200, 5))
            for correlation in (0.0, 0.1, 0.3)
        ],
        measure=measure_clusters,
        columns={
            "clusters": "{clusters}",
            "examples of each": "{size}",
            "correlation": "{correlation:.1f}",
            "false PASS / false FAIL": "{false_pass:.3f} / {false_fail:.3f}",
        },
        runs=10_000,
        parts=4,
        nominal={"false_pass": 0.05, "false_fail": 0.05},
    ),
}

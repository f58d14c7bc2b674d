"""Early stopping of every kind of limit, through the class that measuring drives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from tabulation import Table

from pytest_quantcheck.core.limit import Bound, Limit, Statistic
from pytest_quantcheck.core.quantity import Unit
from pytest_quantcheck.core.verdict import Outcome
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.scores import ExampleScores
from pytest_quantcheck.stats.sequential.trial import Plan, Trial

if TYPE_CHECKING:
    from collections.abc import Callable

LEVELS = levels(0.05, 1)
BATCH = 64
CLUSTER = 4
N = 1000
DOCUMENTS = 200


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of limit, with three truths."""

    statistic: Statistic
    limit: float
    draw: Callable[[np.random.Generator, float], tuple[np.ndarray, np.ndarray]]
    """From a truth to the values of reference and variant."""
    kept: float
    exceeded: float
    metric: str = "accuracy"
    bounds: tuple[float, float] | None = None
    cluster: int = 1
    bound: Bound = Bound.UPPER


def pairs(n, gain):
    """Return a draw of right answers of both, with gains at a rate, for a true drop."""

    def draw(rng, drop):
        u, v = rng.random((2, n))
        reference = np.where(u < gain, 0.0, 1.0)
        variant = np.where((u >= gain) & (v < (drop + gain) / (1 - gain)), 0.0, 1.0)
        return reference, variant

    return draw


def pairs_in_clusters(n, gain, *, size, within):
    """Return a draw whose clusters repeat their first example with a chance `within`."""
    single = pairs(n, gain)

    def draw(rng, drop):
        reference, variant = single(rng, drop)
        first = np.arange(n) // size * size
        source = np.where(rng.random(n) < within, first, np.arange(n))
        return reference[source], variant[source]

    return draw


def kept_pairs(n, gain):
    """Return a draw for the part of its right answers, here nine in ten, that a variant keeps."""

    def draw(rng, part):
        lost = 0.9 * (1 - part) + gain
        u = rng.random(n)
        reference = np.where(u < 0.9, 1.0, 0.0)
        variant = np.where(u < lost, 0.0, np.where(u < 0.9 + gain, 1.0, 0.0))
        return reference, variant

    return draw


def flipped(n):
    """Return a draw of answers that flip either way."""

    def draw(rng, share):
        reference = (rng.random(n) < 0.7).astype(float)
        return reference, np.where(rng.random(n) < share, 1 - reference, reference)

    return draw


def right(n):
    """Return a draw of answers that are right."""
    return lambda rng, share: (np.ones(n), (rng.random(n) < share).astype(float))


def scored(n, share):
    """Return a draw of scores of which a share changes, so that the mean falls by a drop."""

    def draw(rng, drop):
        changes = 0.4 * (rng.beta(2, 2, n) - 0.5) + drop / share
        reference = np.full(n, 0.5)
        return reference, reference - np.where(rng.random(n) < share, changes, 0.0)

    return draw


def documents(noise):
    """Return a draw of losses of documents of 100 tokens, in nats."""

    def draw(rng, excess):
        reference = rng.normal(300.0, 30.0, DOCUMENTS)
        return reference, reference + 100 * (0.01 + 0.1 * (noise(rng) + excess))

    return draw


PERPLEXITY = {
    "statistic": Statistic.LOG_RATIO,
    "metric": "perplexity",
    "limit": math.exp(0.01),
    "kept": -0.25,
    "exceeded": 0.25,
}
KINDS = {
    "flip rate": Kind(
        statistic=Statistic.FLIPS, limit=0.05, draw=flipped(N), kept=0.02, exceeded=0.1
    ),
    "harmful flips": Kind(
        statistic=Statistic.HARMFUL_FLIPS,
        limit=0.05,
        draw=pairs(N, 0.0),
        kept=0.02,
        exceeded=0.1,
    ),
    "floor of a level": Kind(
        statistic=Statistic.VARIANT_LEVEL,
        limit=0.9,
        draw=right(N),
        kept=0.95,
        exceeded=0.85,
        bound=Bound.LOWER,
    ),
    "recovery": Kind(
        statistic=Statistic.RECOVERY,
        limit=0.95,
        draw=kept_pairs(N, 0.02),
        kept=0.99,
        exceeded=0.9,
        bound=Bound.LOWER,
    ),
    "drop in clusters of 4, correlated": Kind(
        statistic=Statistic.DROP,
        limit=0.05,
        draw=pairs_in_clusters(N, 0.02, size=CLUSTER, within=0.5),
        kept=0.0,
        exceeded=0.12,
        cluster=CLUSTER,
    ),
    "drop in clusters of 4, independent": Kind(
        statistic=Statistic.DROP,
        limit=0.05,
        draw=pairs(N, 0.02),
        kept=0.0,
        exceeded=0.12,
        cluster=CLUSTER,
    ),
    "scores, all changed": Kind(
        statistic=Statistic.DROP,
        limit=0.02,
        draw=scored(N, 1.0),
        kept=0.0,
        exceeded=0.05,
        metric="score",
        bounds=(0.0, 1.0),
    ),
    "scores, one in twenty changed": Kind(
        statistic=Statistic.DROP,
        limit=0.01,
        draw=scored(N, 0.05),
        kept=0.0,
        exceeded=0.015,
        metric="score",
        bounds=(0.0, 1.0),
    ),
    "perplexity, normal": Kind(
        draw=documents(lambda rng: rng.standard_normal(DOCUMENTS)), **PERPLEXITY
    ),
    "perplexity, exponential": Kind(
        draw=documents(lambda rng: rng.standard_exponential(DOCUMENTS) - 1), **PERPLEXITY
    ),
}


def stop(kind, rng, truth):
    """Return the outcome and the part of all examples used."""
    reference, variant = kind.draw(rng, truth)
    n = reference.size
    limit = Limit(
        keyword="limit",
        statistic=kind.statistic,
        metric=kind.metric,
        bound=kind.bound,
        value=kind.limit,
        unit=Unit.FRACTION,
    )
    clusters = n // kind.cluster if kind.cluster > 1 else None
    plan = Plan(n=n, n_clusters=clusters, largest_cluster=kind.cluster)
    trial = Trial(limit, plan=plan, levels=LEVELS)
    size = n // 5 if kind.metric == "perplexity" else BATCH
    for start in range(0, n, size):
        part = slice(start, min(start + size, n))
        if trial.update(scores(kind, reference, part), scores(kind, variant, part)):
            break
    return trial.outcome, trial.n / n


def scores(kind, values, part):
    """Return the scores of one batch."""
    numbers = np.arange(part.start, part.stop)
    is_loss = kind.metric == "perplexity"
    return ExampleScores(
        metric=kind.metric,
        ids=tuple(f"e{i:04d}" for i in numbers),
        values=values[part],
        weights=np.full(numbers.size, 100.0 if is_loss else 1.0),
        clusters=numbers // kind.cluster if kind.cluster > 1 else None,
        bounds=kind.bounds,
    )


def measure(cell, runs, rng):
    """Return errors at the limit, and right verdicts and examples used on either side of it."""
    kind = KINDS[cell["limit"]]
    at_limit = 0.0 if kind.metric == "perplexity" else kind.limit
    truths = {"limit": at_limit, "kept": kind.kept, "exceeded": kind.exceeded}
    ends = {name: [stop(kind, rng, truth) for _ in range(runs)] for name, truth in truths.items()}

    def share(name, outcome):
        return np.mean([found is outcome for found, _ in ends[name]])

    return {
        "false_pass": share("limit", Outcome.PASS),
        "false_fail": share("limit", Outcome.FAIL),
        "passed": share("kept", Outcome.PASS),
        "failed": share("exceeded", Outcome.FAIL),
        "kept_used": np.mean([used for _, used in ends["kept"]]),
        "exceeded_used": np.mean([used for _, used in ends["exceeded"]]),
    }


PROTOTYPE = {
    "perplexity, normal": ".051 / .048; .961, 60 % (10 looks)",
    "perplexity, exponential": "false PASS .082",
}

TABLES = {
    "sequential-kinds": Table(
        cells=[
            {"limit": name, "kept": kind.kept, "exceeded": kind.exceeded}
            | ({"prototype": PROTOTYPE[name]} if name in PROTOTYPE else {})
            for name, kind in KINDS.items()
        ],
        measure=measure,
        columns={
            "limit": "{limit}",
            "false PASS / false FAIL": "{false_pass:.4f} / {false_fail:.4f}",
            "truth within": "{kept}",
            "PASS, examples used": "{passed:.3f}, {kept_used:.0%}",
            "truth over": "{exceeded}",
            "FAIL, examples used": "{failed:.3f}, {exceeded_used:.0%}",
            "prototype": "{prototype}",
        },
        runs=10_000,
        parts=20,
        nominal={"false_pass": 0.05, "false_fail": 0.05},
    ),
}

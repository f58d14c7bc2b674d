"""Simulated pairs of measurements, decided by `judge` as a run decides them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from pytest_quantcheck.core.grammar import parse_limit
from pytest_quantcheck.core.verdict import Outcome
from pytest_quantcheck.stats.clustered_binary import score_clusters
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.procedures import judge
from pytest_quantcheck.stats.scores import ExampleScores
from pytest_quantcheck.stats.tango import PairedCounts

if TYPE_CHECKING:
    from collections.abc import Callable

LEVELS = levels(0.05, 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawn:
    """What reference and variant scored on n examples."""

    metric: str
    reference: np.ndarray
    variant: np.ndarray
    clusters: np.ndarray | None = None
    weights: np.ndarray | None = None
    bounds: tuple[float, float] | None = None

    def scores(self, values):
        n = values.size
        return ExampleScores(
            metric=self.metric,
            ids=_ids(n),
            values=values,
            weights=np.ones(n) if self.weights is None else self.weights,
            clusters=self.clusters,
            bounds=self.bounds,
        )


@lru_cache(maxsize=100)
def _ids(n):
    return tuple(f"{i:06}" for i in range(n))


def outcomes(limit: tuple[str, float], draw: Callable[[], Drawn], runs: int) -> dict[str, float]:
    """Return the shares of PASS and of FAIL."""
    parsed, found = parse_limit(*limit), []
    for _ in range(runs):
        drawn = draw()
        reference, variant = drawn.scores(drawn.reference), drawn.scores(drawn.variant)
        found.append(judge(parsed, reference, variant=variant, levels=LEVELS).outcome)
    return {
        "pass": found.count(Outcome.PASS) / runs,
        "fail": found.count(Outcome.FAIL) / runs,
    }


def cluster_rates(rng, n_clusters, *, rate, correlation):
    """Return a rate for each cluster, of the mean and the intra-cluster correlation given."""
    if correlation == 0 or rate == 0:
        return np.full(n_clusters, rate)
    scale = 1 / correlation - 1
    return rng.beta(rate * scale, (1 - rate) * scale, n_clusters)


def cluster_sizes(rng, n_clusters, mean):
    """Return sizes of 1 and more; what is beyond 1 is geometric."""
    return rng.geometric(1 / mean, n_clusters)


def clustered_answers(rng, sizes, *, loss, gain, correlation):
    """Return right and wrong answers whose losses, and whose gains, correlate within clusters."""
    clusters = np.repeat(np.arange(sizes.size), sizes)
    lost, gained = (
        cluster_rates(rng, sizes.size, rate=rate, correlation=correlation)[clusters]
        for rate in (loss, gain)
    )
    drawn = rng.random(clusters.size)
    reference, variant = np.ones(clusters.size), np.ones(clusters.size)
    variant[drawn < lost] = 0
    reference[drawn > 1 - gained] = 0
    return Drawn(metric="accuracy", reference=reference, variant=variant, clusters=clusters)


def clustered_rates(
    draw: Callable[[], Drawn], runs: int, *, limit: float, is_relative: bool = False
) -> dict[str, float]:
    """Return the shares of PASS and of FAIL of answers in clusters, by the p-values alone."""
    passed = failed = 0
    for _ in range(runs):
        drawn = draw()
        contrast = (1 - limit if is_relative else 1.0) * drawn.reference - drawn.variant
        counts = _count(drawn, is_relative=is_relative)
        found = score_clusters(counts, contrast, clusters=drawn.clusters)
        passed += found.p_pass(limit) <= LEVELS.alpha_pass
        failed += found.p_fail(limit) <= LEVELS.alpha_fail
    return {"pass": passed / runs, "fail": failed / runs}


def _count(drawn, *, is_relative):
    losses = int(np.count_nonzero(drawn.reference > drawn.variant))
    gains = int(np.count_nonzero(drawn.reference < drawn.variant))
    either = int(np.count_nonzero(drawn.reference + drawn.variant))
    n = either if is_relative else drawn.reference.size
    return PairedCounts(losses=losses, gains=gains, n=n, is_relative=is_relative)

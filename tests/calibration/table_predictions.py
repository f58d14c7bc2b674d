"""Errors and power of limits on predictions: tokens come in documents of different lengths."""

import math

import numpy as np
from tabulation import Table

from pytest_quantcheck.core.budget import Gate
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.paired import check_scores
from pytest_quantcheck.stats.ratio_mean import ClusterSums
from pytest_quantcheck.stats.scores import ExampleScores
from pytest_quantcheck.stats.skewed_mean import estimate_skewed_ratio_mean
from pytest_quantcheck.stats.token_quantile import order_tokens
from pytest_quantcheck.stats.token_share import share_p_values, share_question

LEVELS = levels(0.05, 1)
TOKENS = 100
ALPHA = 0.05
Z90, Z99 = 1.2815515655446004, 2.3263478740408408


def scores_of(metric, values, sizes, observations=None):
    """Return scores of documents with so many tokens."""
    return ExampleScores(
        metric=metric,
        ids=tuple(f"{i:04}" for i in range(len(sizes))),
        values=np.asarray(values, np.float64),
        weights=np.asarray(sizes, np.float64),
        observations=observations,
    )


def measure_means(cell, runs, rng):
    """Return errors where the mean of all tokens is the limit, and power where it is half of it.

    Lengths and documents' means are log-normal; their logarithms are correlated.
    """
    n, spread, lengths, correlation = (cell[k] for k in ("n", "spread", "lengths", "correlation"))
    mean = math.exp(spread**2 / 2 + correlation * spread * lengths)
    counts = dict.fromkeys(("regression", "strict", "fail", "power", "strict_power"), 0)
    for _ in range(runs):
        z, other = rng.standard_normal((2, n))
        sizes = np.maximum(1, np.rint(500 * np.exp(lengths * z)))
        means = np.exp(spread * (correlation * z + math.sqrt(1 - correlation**2) * other))
        found = estimate_skewed_ratio_mean(ClusterSums(sums=sizes * means, sizes=sizes), least=0.0)
        enough = {gate: n >= found.examples_for_pass(gate) for gate in Gate}
        at_limit, below = (found.p_pass(limit) <= ALPHA for limit in (mean, 2 * mean))
        counts["regression"] += at_limit and enough[Gate.REGRESSION]
        counts["strict"] += at_limit and enough[Gate.STRICT]
        counts["fail"] += found.p_fail(mean) <= ALPHA
        counts["power"] += below and enough[Gate.REGRESSION]
        counts["strict_power"] += below and enough[Gate.STRICT]
    return {name: count / runs for name, count in counts.items()}


def measure_tokens(cell, runs, rng):
    """Return errors where the limit is the truth, and where three times the truth passes.

    Divergences of tokens are log-normal, with a log-normal factor for each document.
    """
    n, spread = cell["n"], cell["spread"]
    whole = math.hypot(spread, 1.0)
    quantile = math.exp(Z99 * whole)
    counts = dict.fromkeys(("p99_pass", "p99_fail", "p99_power", "top_pass", "top_fail"), 0)
    for _ in range(runs):
        sizes = rng.integers(TOKENS // 2, 3 * TOKENS // 2, n)
        factors = np.repeat(np.exp(spread * rng.standard_normal(n)), sizes)
        tokens = factors * np.exp(rng.standard_normal(factors.size))
        parts = tuple(np.split(tokens, np.cumsum(sizes)[:-1]))
        scores = scores_of("p99_kl", sizes, sizes, parts)
        found = order_tokens(check_scores(scores, role="variant"), levels=LEVELS)
        counts["p99_pass"] += found.p_pass(quantile) <= ALPHA
        counts["p99_fail"] += found.p_fail(quantile) <= ALPHA
        counts["p99_power"] += found.p_pass(3 * quantile) <= ALPHA
        # A token keeps its place on top where its divergence is below the 90th percentile.
        edge = math.exp(Z90 * whole)
        moved = np.array([np.sum(part > edge) for part in parts], np.float64)
        question = share_question(
            moved, sizes.astype(np.float64), clusters=None, limit=0.1, levels=LEVELS
        )
        found = share_p_values(question)
        counts["top_pass"] += found.p_pass <= ALPHA
        counts["top_fail"] += found.p_fail <= ALPHA
    return {name: count / runs for name, count in counts.items()}


TABLES = {
    "mean-kl": Table(
        cells=[
            {"spread": spread, "lengths": lengths, "correlation": correlation, "n": n}
            for spread, lengths, correlation in (
                (0.4, 0.0, 0.0), (0.4, 0.7, 0.0), (0.4, 0.7, 0.5), (0.4, 0.7, -0.5),
                (0.8, 0.7, 0.0), (0.8, 0.7, 0.5),
            )
            for n in (30, 100, 300)
        ],
        measure=measure_means,
        columns={
            "spread": "{spread:.1f}",
            "of lengths": "{lengths:.1f}",
            "correlation": "{correlation:.1f}",
            "documents": "{n:,}",
            "false PASS": "{regression:.3f}",
            "strict": "{strict:.3f}",
            "false FAIL": "{fail:.3f}",
            "power": "{power:.2f}",
            "power: strict": "{strict_power:.2f}",
        },
        runs=10_000,
        parts=2,
        nominal={"regression": 0.05, "strict": 0.05, "fail": 0.05},
    ),
    "tokens": Table(
        cells=[{"spread": spread, "n": n} for spread in (0.3, 0.8) for n in (30, 60, 200)],
        measure=measure_tokens,
        columns={
            "spread": "{spread:.1f}",
            "documents": "{n:,}",
            "p99: false PASS / false FAIL": "{p99_pass:.3f} / {p99_fail:.3f}",
            "p99: PASS at 3 times the truth": "{p99_power:.2f}",
            "top 1: false PASS / false FAIL": "{top_pass:.3f} / {top_fail:.3f}",
        },
        runs=10_000,
        parts=10,
        nominal=dict.fromkeys(("p99_pass", "p99_fail", "top_pass", "top_fail"), 0.05),
    ),
}  # fmt: skip

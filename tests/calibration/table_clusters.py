"""Errors in clusters: answers with a design effect, ratio means of scores, perplexities, blocks."""

from __future__ import annotations

import math

import numpy as np
from scipy import signal, stats
from simulated import cluster_sizes, clustered_answers, clustered_rates, outcomes
from tabulation import Table

from pytest_quantcheck.measure.tasks.documents import _blocks
from pytest_quantcheck.stats.ratio_mean import add_up, estimate_ratio_mean

ALPHA = 0.05


def measure_answers(cell, runs, rng):
    """Return errors at losses of 2 % and gains of 1 %, and power at 1 % of either."""

    def draw(loss):
        sizes = cluster_sizes(rng, cell["clusters"], cell["size"])
        correlation = cell["correlation"]
        return clustered_answers(rng, sizes, loss=loss, gain=0.01, correlation=correlation)

    at_limit = clustered_rates(lambda: draw(0.02), runs, limit=0.01)
    power = clustered_rates(lambda: draw(0.01), runs, limit=0.01)
    return {
        "false_pass": at_limit["pass"],
        "false_fail": at_limit["fail"],
        "power": power["pass"],
    }


def measure_flips(cell, runs, rng):
    """Return errors of a limit on flips of 10 %, in clusters of random or of one size."""

    def draw():
        n_clusters, size = cell["clusters"], cell["size"]
        sizes = cluster_sizes(rng, n_clusters, size)
        if cell["sizes"] == "equal":
            sizes = np.full(n_clusters, size)
        correlation = cell["correlation"]
        return clustered_answers(rng, sizes, loss=0.10, gain=0.0, correlation=correlation)

    found = outcomes(("max_flip_rate", 0.10), draw, runs)
    return {"false_pass": found["pass"], "false_fail": found["fail"]}


def both_errors(mean, limit):
    """Return whether PASS, and whether FAIL, is shown where the true mean is the limit."""
    return mean.p_pass(limit) <= ALPHA, mean.p_fail(limit) <= ALPHA


def tally(draw, limit, runs):
    """Return errors of the ratio mean, and of means that take every example to stand alone.

    `draw` gives (values, weights, clusters), or (sums, sizes, error of independent tokens).
    """
    wrong = np.zeros(4)
    for _ in range(runs):
        values, weights, third = draw()
        if isinstance(third, float):
            mean = estimate_ratio_mean(add_up(values, weights, clusters=None))
            z = (mean.mean - limit) / third
            alone = stats.norm.isf(ALPHA) <= -z, stats.norm.isf(ALPHA) <= z
        else:
            mean = estimate_ratio_mean(add_up(values, weights, clusters=third))
            alone = both_errors(estimate_ratio_mean(add_up(values, weights, clusters=None)), limit)
        wrong += np.array([*both_errors(mean, limit), *alone])
    names = ("false_pass", "false_fail", "naive_pass", "naive_fail")
    return dict(zip(names, wrong / runs, strict=True))


def measure_scores(cell, runs, rng):
    """Return errors for scores of which a part of .3 of the variance is the clusters'."""

    def draw():
        sizes = np.full(cell["clusters"], 10)
        if cell["sizes"] == "unequal":
            sizes = 1 + np.floor(rng.lognormal(2, 1, cell["clusters"])).astype(int)
        clusters = np.repeat(np.arange(sizes.size), sizes)
        values = rng.normal(0, math.sqrt(0.3), sizes.size)[clusters]
        values += rng.normal(0, math.sqrt(0.7), clusters.size)
        return values, np.ones(clusters.size), clusters

    return tally(draw, 0.0, runs)


TOKEN_SD = 0.3


def sum_of_tokens(rng, lengths, *, memory, is_skewed):
    """Return the sum of each document's tokens, autocorrelated or skewed."""
    if is_skewed:  # sums of exponential values
        return TOKEN_SD * (rng.gamma(lengths) - lengths)
    ratio = (1 + memory) / (1 - memory)
    edge = 2 * memory * (1 - memory**lengths) / (1 - memory) ** 2
    return TOKEN_SD * np.sqrt(lengths * ratio - edge) * rng.normal(size=lengths.size)


def measure_perplexity(cell, runs, rng):
    """Return errors for documents of log-normal lengths, about 400 tokens each."""
    spread, slope = 0.8, cell["slope"]
    limit = slope * spread**2  # of an effect that rises with the logarithm of the length

    def draw():
        logs = rng.normal(6, spread, cell["documents"])
        lengths = np.exp(logs)
        effects = rng.normal(0, cell["document_sd"], logs.size) + slope * (logs - 6)
        tokens = sum_of_tokens(
            rng, lengths, memory=cell["memory"], is_skewed=cell["tokens"] == "skewed"
        )
        variance = TOKEN_SD**2 + cell["document_sd"] ** 2 + (slope * spread) ** 2
        return effects * lengths + tokens, lengths, math.sqrt(variance / lengths.sum())

    return tally(draw, limit, runs)


def measure_blocks(cell, runs, rng):
    """Return errors for one long document, cut into blocks as `Documents` cuts it."""
    memory = cell["memory"]
    innovation = math.sqrt(1 - memory**2)

    def draw():
        steps = rng.normal(0, innovation, cell["tokens"])
        steps[0] /= innovation
        (blocks,) = _blocks([signal.lfilter([1.0], [1.0, -memory], steps)])
        sums, sizes = ([*map(count, blocks)] for count in (math.fsum, len))
        return np.array(sums), np.array(sizes), 1 / math.sqrt(cell["tokens"])

    return tally(draw, 0.0, runs)


def perplexity_cell(count, memory, document_sd, slope, tokens, prototype):
    cell = {"documents": count, "memory": memory, "document_sd": document_sd, "slope": slope}
    return cell | {"tokens": tokens, "prototype": prototype}


BOTH = {"false_pass": ALPHA, "false_fail": ALPHA}

TABLES = {
    "clustered-answers": Table(
        cells=[
            {"clusters": clusters, "size": size, "correlation": correlation}
            | ({"prototype": prototype, "shown": shown} if correlation == 0.05 else {})
            for clusters, size, prototype, shown in (
                (20, 10, ".005", ".01"),
                (50, 10, ".027", ".15"),
                (200, 10, ".050", ".55"),
                (200, 33, ".060", ".63"),
            )
            for correlation in ((0.05,) if size == 33 else (0.0, 0.05, 0.2))
        ],
        measure=measure_answers,
        columns={
            "clusters": "{clusters}",
            "examples of each": "{size}",
            "correlation": "{correlation:.2f}",
            "false PASS": "{false_pass:.3f}",
            "prototype": "{prototype}",
            "false FAIL": "{false_fail:.3f}",
            "power without a drop": "{power:.2f}",
            "prototype ": "{shown}",
        },
        runs=10_000,
        parts=4,
        nominal=BOTH,
    ),
    "clustered-flips": Table(
        cells=[
            {"clusters": clusters, "size": size, "sizes": sizes, "correlation": correlation}
            for clusters, size in ((50, 5), (200, 5))
            for sizes in ("unequal", "equal")
            for correlation in (0.0, 0.1, 0.3)
        ],
        measure=measure_flips,
        columns={
            "clusters": "{clusters}",
            "examples of each": "{size}",
            "sizes": "{sizes}",
            "correlation": "{correlation:.1f}",
            "false PASS / false FAIL": "{false_pass:.3f} / {false_fail:.3f}",
        },
        runs=10_000,
        parts=2,
        nominal=BOTH,
    ),
    "clustered-scores": Table(
        cells=[
            {"clusters": clusters, "sizes": sizes, "prototype": prototype, "alone": alone}
            for clusters, sizes, prototype, alone in (
                (5, "unequal", ".053 / .051", ".227 / .218"),
                (10, "unequal", ".059 / .062", ".252 / .255"),
                (20, "unequal", ".056 / .062", ".254 / .267"),
                (50, "unequal", ".061 / .056", ".282 / .264"),
                (20, "equal", ".051 / .049", ".197 / .192"),
            )
        ],
        measure=measure_scores,
        columns={
            "clusters": "{clusters}",
            "sizes": "{sizes}",
            "false PASS / false FAIL": "{false_pass:.3f} / {false_fail:.3f}",
            "prototype": "{prototype}",
            "without clusters": "{naive_pass:.3f} / {naive_fail:.3f}",
            "prototype ": "{alone}",
        },
        runs=10_000,
        nominal=BOTH,
    ),
    "perplexity": Table(
        cells=[
            perplexity_cell(20, 0.0, 0.0, 0.0, "normal", ".057 / .045"),
            perplexity_cell(20, 0.3, 0.0, 0.0, "normal", ".039 / .041"),
            perplexity_cell(20, 0.3, 0.02, 0.0, "normal", ".059 / .062"),
            perplexity_cell(60, 0.0, 0.02, 0.0, "skewed", ".046 / .063"),
            perplexity_cell(60, 0.3, 0.02, 0.02, "normal", ".104 / .031"),
            perplexity_cell(200, 0.0, 0.02, 0.02, "skewed", ".088 / .037"),
            perplexity_cell(200, 0.1, 0.05, 0.0, "normal", ".053 / .056"),
        ],
        measure=measure_perplexity,
        columns={
            "documents": "{documents}",
            "tokens": "{tokens}",
            "autocorrelation": "{memory:.1f}",
            "sd of documents, nats": "{document_sd:.2f}",
            "rise with ln length": "{slope:.2f}",
            "false PASS / false FAIL": "{false_pass:.3f} / {false_fail:.3f}",
            "prototype": "{prototype}",
            "independent tokens": "{naive_pass:.3f} / {naive_fail:.3f}",
        },
        runs=20_000,
        nominal=BOTH,
    ),
    "blocks": Table(
        cells=[
            {"tokens": tokens, "memory": memory, "prototype": prototype, "alone": alone}
            for tokens, memory, prototype, alone in (
                (5_000, 0.5, None, ".187"),
                (50_000, 0.3, ".052", ".110"),
                (50_000, 0.7, ".051", ".242"),
            )
        ],
        measure=measure_blocks,
        columns={
            "tokens": "{tokens:,}",
            "autocorrelation": "{memory:.1f}",
            "false PASS / false FAIL": "{false_pass:.3f} / {false_fail:.3f}",
            "prototype: false PASS": "{prototype}",
            "independent tokens": "{naive_pass:.3f} / {naive_fail:.3f}",
            "prototype: false PASS ": "{alone}",
        },
        runs=10_000,
        parts=4,
        nominal=BOTH,
    ),
}  # fmt: skip

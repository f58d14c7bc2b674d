"""Time one verdict on right and wrong answers, in processor seconds from scores to outcome."""

from __future__ import annotations

import argparse
import platform
import time

import numpy as np
import scipy

from pytest_quantcheck.core.grammar import parse_limit
from pytest_quantcheck.stats import binary
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.procedures import judge
from pytest_quantcheck.stats.scores import ExampleScores

LIMIT = parse_limit("max_accuracy_drop", 0.01)
LEVELS = levels(0.05, 20)
CASES = (
    (1_000, 0.05),
    (5_000, 0.0),
    (5_000, 0.01),
    (5_000, 0.05),
    (5_000, 0.10),
    (20_000, 0.05),
    (1_000_000, 0.05),
)


def pair(n: int, flips: float) -> list[ExampleScores]:
    """Return reference and variant with as many losses as gains, in one order."""
    rng = np.random.default_rng(0)
    reference, variant = np.ones(n), np.ones(n)
    changed = rng.permutation(n)[: round(n * flips)]
    variant[changed[::2]] = 0
    reference[changed[1::2]] = 0
    ids = tuple(f"{i:07}" for i in range(n))
    return [
        ExampleScores(metric="accuracy", ids=ids, values=values, weights=np.ones(n))
        for values in (reference, variant)
    ]


def seconds_of(n: int, flips: float) -> float:
    """Return the processor seconds of one verdict, which other programs do not lengthen."""
    reference, variant = pair(n, flips)
    for kept in (binary.invert, binary.p_pass):
        kept.cache_clear()
    started = time.process_time()
    judge(LIMIT, reference, variant=variant, levels=LEVELS)
    return time.process_time() - started


def main(repeats: int) -> None:
    """Print the median seconds of each case."""
    versions = f"numpy {np.__version__}, scipy {scipy.__version__}"
    print(f"Python {platform.python_version()}, {versions}; median of {repeats}")
    for n, flips in CASES:
        seconds = np.median([seconds_of(n, flips) for _ in range(repeats)])
        print(f"{n:>9,} examples, {flips:4.0%} flips: {seconds:.3f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repeats", nargs="?", type=int, default=5, help="verdicts of each case [5]")
    main(parser.parse_args().repeats)

"""Print the tables of error rates in docs/explanation/verdicts.md, in Markdown.

usage: tabulate_rates.py {skewed-mean,quantile,latency,p95-ratio}
"""

import sys

import test_latency_simulation as latency
import test_p95_ratio_simulation as p95_ratio
import test_quantile_enumeration as quantile
import test_skewed_mean_simulation as skewed_mean

RUNS = 20_000


def skewed_means():
    yield "distribution", "n", "false PASS", "regression", "strict", "false FAIL", "power"
    for name, draw in skewed_mean.DISTRIBUTIONS.items():
        for n in (30, 100, 300, 1000):
            found = skewed_mean.rates(draw, n, limit=1.0, runs=RUNS, seed=n)
            power = skewed_mean.rates(draw, n, limit=2.0, runs=RUNS // 2, seed=n + 1)
            yield name, n, *found.values(), power["regression"], power["strict"]


def quantiles():
    yield "quantile", "n", "false PASS", "false FAIL"
    for share in (0.5, 0.95, 0.99):
        for n in (60, 130, 300, 1000):
            yield share, n, *quantile.errors(n, share)


def latencies():
    yield "noise", "false PASS", "false FAIL", "power", "of ABBA blocks: false PASS", "false FAIL"
    for name, noise in latency.NOISE.items():
        pairs = latency.rates(noise, excess=0.0, runs=RUNS // 2, seed=21)
        power = latency.rates(noise, excess=0.02, runs=RUNS // 10, seed=22)[1]
        blocks = latency.rates(noise, excess=0.0, runs=RUNS // 2, seed=23, per_block=4)
        yield name, *pairs, power, *blocks


def p95_ratios():
    yield "latencies", "n", "runs", "false PASS", "false FAIL"
    for name, draw in p95_ratio.LATENCIES.items():
        for n, runs in ((100, RUNS // 2), (300, RUNS // 10), (1000, RUNS // 20)):
            yield name, n, runs, *p95_ratio.rates(draw, n, limit=1.0, runs=runs, seed=n)


TABLES = {
    "skewed-mean": skewed_means,
    "quantile": quantiles,
    "latency": latencies,
    "p95-ratio": p95_ratios,
}

if __name__ == "__main__":
    for row in TABLES[sys.argv[1]]():
        cells = (f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in row)
        sys.stdout.write(f"| {' | '.join(cells)} |\n")
        sys.stdout.flush()

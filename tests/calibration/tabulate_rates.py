"""Print the tables of error rates in docs/explanation/verdicts.md, in Markdown.

usage: tabulate_rates.py {skewed-mean,quantile}
"""

import sys

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


TABLES = {"skewed-mean": skewed_means, "quantile": quantiles}

if __name__ == "__main__":
    for row in TABLES[sys.argv[1]]():
        cells = (f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in row)
        sys.stdout.write(f"| {' | '.join(cells)} |\n")
        sys.stdout.flush()

"""`quantcheck compare`: what got worse is found, what is the same is quiet."""

from dataclasses import replace

import known_records as known
import numpy as np
import pytest
from example_records import measured_record, rows

from pytest_quantcheck.cli.main import main
from pytest_quantcheck.core.examples import key_of, to_line
from pytest_quantcheck.plugin.files import write_run

N = 1200


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a run: of metrics, what the variant scored."""

    def write(name, *measured, checks=(), **fields):
        lines, decided = [], [*checks]
        for one in measured:
            n = len(one.values)
            ideal = rows(one.metric, [0.0] * n, weights=one.weights)
            first = to_line(measured_record(ideal, variant="fp16", **fields))
            second = to_line(measured_record(one, reference=key_of(first), **fields))
            lines += [first, second]
            keyword = f"max_{one.metric}_drop"
            decided.append(
                replace(known.CHECK, metric=one.metric, keyword=keyword, examples=key_of(second))
            )
        path = tmp_path / name
        write_run(path, known.run(*decided), lines)
        return path

    return write


@pytest.fixture
def compare(capsys):
    def compare(*arguments):
        status = main(["compare", *map(str, arguments)])
        done = capsys.readouterr()
        return status, done.out + done.err

    return compare


def answers(share=0.9, seed=0, n=N):
    return (np.random.default_rng(seed).random(n) < share).astype(float)


def with_flips(values, n_lost, n_won=0):
    """Return answers of which some right ones became wrong, and some wrong ones right."""
    changed = values.copy()
    changed[np.flatnonzero(values == 1)[:n_lost]] = 0
    changed[np.flatnonzero(values == 0)[:n_won]] = 1
    return changed


def test_two_points_less_are_found(write, compare):
    before = answers()
    after = with_flips(before, n_lost=30, n_won=6)

    status, printed = compare(
        write("a.json", rows("accuracy", before)), write("b.json", rows("accuracy", after))
    )

    assert status == 1
    row = next(line for line in printed.splitlines() if line.startswith(" triage"))
    assert row.split()[:3] == ["triage", "int4", "(nf4)"]
    assert " 2.0 pp [" in row
    assert row.endswith("1,200  paired  REGRESSION")
    assert printed.endswith("quantcheck compare: 1 regression\n")


def test_identical_runs_are_quiet(write, compare):
    path = write("a.json", rows("accuracy", answers()), rows("exact_match", answers(seed=1)))

    assert compare(path, path) == (0, " identical: 2 metrics\nquantcheck compare: no regressions\n")


def test_what_got_better_is_no_regression(write, compare):
    before = answers()
    paths = [
        write("a.json", rows("accuracy", with_flips(before, 30))),
        write("b.json", rows("accuracy", before)),
    ]

    status, printed = compare(*paths)

    assert (status, " -2.5 pp [" in printed) == (0, True)


def test_chance_is_shared_by_all_metrics(write, compare):
    before = answers()
    after = with_flips(before, n_lost=5)  # a p of 1 in 32, by the sign test
    names = ["accuracy", "accuracy_norm", "exact_match", "contains", "regex_match", "json_valid"]

    alone = compare(*(write(f"{i}", rows("accuracy", v)) for i, v in enumerate((before, after))))
    many = compare(
        write("a", *(rows(name, before) for name in names)),
        write("b", rows(names[0], after), *(rows(name, before) for name in names[1:])),
    )

    assert alone[0] == 1
    assert many[0] == 0
    assert " identical: 5 metrics\n" in many[1]


@pytest.mark.parametrize(
    ("metric", "unit"), [("perplexity", "1.05"), ("mean_kl", "0.05"), ("top1_agreement", "pp")]
)
def test_sums_over_tokens_are_compared_by_token(write, compare, metric, unit):
    rng = np.random.default_rng(2)
    weights = rng.integers(50, 90, 60).astype(float)
    shares = rng.uniform(0.3, 0.4, 60)
    worse = -0.05 if metric == "top1_agreement" else 0.05
    noise = rng.normal(0, 0.005, 60)
    first, second = (
        rows(metric, weights * values, weights=weights.tolist())
        for values in (shares, shares + worse + noise)
    )

    status, printed = compare(write("a", first), write("b", second))

    assert status == 1
    assert unit in printed


def test_faults_that_became_more_are_found(write, compare):
    before = answers(0.02)
    after = with_flips(before, 0, n_won=30)

    status, printed = compare(write("a", rows("loop", before)), write("b", rows("loop", after)))

    assert (status, " 2.5 pp [" in printed) == (1, True)


def test_other_examples_are_compared_without_pairs(write, compare):
    before, after = rows("accuracy", answers(0.9)), rows("accuracy", answers(0.8, seed=1))
    paths = write("a", before), write("b", after, fingerprint="e" * 64)

    status, printed = compare(*paths)

    assert status == 1
    assert "unpaired: the examples differ  REGRESSION" in printed
    near = write("c", rows("accuracy", answers(0.9, seed=2)), fingerprint="e" * 64)
    assert compare(paths[0], near)[0] == 0


@pytest.mark.parametrize("planned", [(2400, 2400), (None, 2400), (2400, None)])
def test_what_stopped_early_has_no_test(write, compare, planned):
    first, second = (
        write(name, rows("accuracy", answers(share)), **({"n_planned": n} if n else {}))
        for name, share, n in zip("ab", (0.9, 0.5), planned, strict=True)
    )

    status, printed = compare(first, second)

    assert status == 0
    assert "no test: stopped early; run with --quant-sequential=off" in printed


@pytest.mark.parametrize("sizes", [(300, N), (N, 300)])
def test_of_a_workload_measured_twice_the_larger_measurement_counts(write, compare, sizes):
    first, second = (
        write(name, *(rows("accuracy", answers(share, n=n)) for n in sizes))
        for name, share in zip("ab", (0.9, 0.5), strict=True)
    )

    status, printed = compare(first, second)

    assert status == 1
    assert "1,200" in printed
    assert "300" not in printed


def test_quantiles_have_no_test(write, compare):
    sides = [
        rows("p99_kl", [0.0] * 30, observations=[[value] * 5 for value in range(i, i + 30)])
        for i in (0, 9)
    ]
    sides[1].values[0] = 1.0
    status, printed = compare(write("a", sides[0]), write("b", sides[1]))
    assert status == 0
    assert "no test of a change of p99_kl" in printed


def test_verdicts_and_budgets_that_changed_are_named(write, compare):
    values = rows("accuracy", answers())
    gone = replace(known.CHECK, keyword="max_flip_rate")
    first, second = write("a", values, checks=[gone]), write("b", values)
    run = second.read_text().replace('"inconclusive"', '"fail"')
    second.write_text(run)

    status, printed = compare(first, second)

    assert status == 0
    assert "max_accuracy_drop on triage: INCONCLUSIVE before, FAIL after\n" in printed
    assert " budgets that were decided before only: 1\n" in printed


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"metric": "ttft", "statistic": "latency_ratio"}, "TTFT 20.00 ms 30.00 ms - 1,200"),
        (
            {"metric": "tpot", "statistic": "latency_quantile", "keyword": "max_tpot_p95_ms"},
            "TPOT p95 20.00 ms 30.00 ms - 1,200",
        ),
    ],
)
def test_times_are_shown_and_not_judged(write, compare, fields, shown):
    given = {"workload": "chat", "slice": "batch 8", "level_unit": "milliseconds", "examples": None}
    sides = [replace(known.CHECK, **given | fields, variant_level=ms) for ms in (20.0, 30.0)]
    before, after = (write(f"{i}", checks=[side]) for i, side in enumerate(sides))

    status, printed = compare(before, after)

    assert status == 0
    assert f"chat[batch 8] int4 (nf4) {shown} no test of" in " ".join(printed.split())
    assert compare(after, after)[1].startswith(" identical: 1 metric\n")


def test_heavier_weights_are_a_regression(write, compare):
    light, heavy = (
        replace(known.CHECK, statistic="weight_ratio", keyword="max_weight_memory_ratio",
                workload="", variant_level=size)
        for size in (1e9, 1.2e9)
    )  # fmt: skip
    paths = write("a", checks=[light]), write("b", checks=[heavy])

    status, printed = compare(*paths)

    assert status == 1
    assert "(weights)" in printed
    assert compare(*paths[::-1])[0] == 0
    assert compare(paths[0], paths[0])[0] == 0


def test_runs_of_nothing_in_common_are_refused(write, compare):
    first, second = write("a", rows("accuracy", answers())), write("b", rows("loop", answers()))

    assert "have no metric in common" in compare(first, second)[1]
    status, printed = compare(first, first, "--alpha=0.5")
    assert (status, "--alpha=0.5: expected a number above 0" in printed) == (2, True)

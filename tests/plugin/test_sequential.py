"""Measuring stops where every budget is decided: verdicts on prefixes, and what is said of them."""

import pytest


def budget(variant, limits, workload="invoice"):
    bound = f"workload={workload}, " if workload else ""
    return f"@pytest.mark.quant_budget({variant!r}, {bound}{limits})\n"


def checks_of(project):
    """Return every check by test and keyword."""
    return {(one["nodeid"], one["keyword"]): one for one in project.record()["checks"]}


def stops(project):
    return {
        (one["variant"], one["keyword"]): (one["outcome"], one["n"], one["n_planned"])
        for one in project.record()["checks"]
    }


def test_a_gross_failure_stops_early_and_says_so_everywhere(project, how):
    project.tests(budget("int4", "max_accuracy_drop=0.05") + "def test_a(quant): ...")

    result = project.run(*how, "--quant-json=run.json")

    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "FAIL: int4*on invoice: accuracy drop 2?.? pp [[]*[]] (90 % CI), budget <= 5.0 pp",
            "*n = 300 examples, *lost*; stopped early at 300 of 2,400*",
            "*invoice*int4*300*FAIL*stopped early at 300 of 2,400",
            "*fp16*100.0 % (on 300 of 2,400)",
            "*int4*7?.? % (on 300 of 2,400)",
        ]
    )
    (check,) = project.record()["checks"]
    assert (check["n"], check["n_planned"], check["stopped_early"]) == (300, 2400, True)
    assert check["low"] < 0.2 < check["high"]
    assert check["counts"]["losses"] + check["counts"]["both"] == 300
    assert check["n_worse"] == check["counts"]["losses"]
    assert check["mcnemar_p"] is None
    assert check["power"] > 0.99
    assert {(m["n"], m["n_planned"]) for m in project.record()["measurements"]} == {(300, 2400)}


def test_what_is_not_decided_earlier_is_decided_on_all(project):
    project.tests(budget("mild", "max_accuracy_drop=0.0125") + "def test_a(quant): ...")

    result = project.run("--quant-json=run.json")

    assert result.ret == 0
    (check,) = project.record()["checks"]
    assert check["outcome"] == "inconclusive"
    assert (check["n"], check["n_planned"], check["stopped_early"]) == (2400, 2400, False)
    assert check["needed_n"] > 2400
    result.stdout.no_fnmatch_line("*stopped early*")
    result.stdout.no_fnmatch_line("* of 2,400)*")


def test_more_examples_than_one_test_takes_are_asked_for_where_they_will_be_looked_at(project):
    project.tests(
        "small = large('small', n=100)\n"
        + budget("mild", "max_accuracy_drop=0.017", "quiz")
        + budget("mild", "max_accuracy_drop=0.16", "small")
        + "def test_a(quant): ..."
    )
    needed = {}
    for setting in ("off", "auto"):
        project.run("--quant-json=run.json", f"--quant-sequential={setting}")
        checks = project.record()["checks"]
        needed[setting] = {one["workload"]: one["needed_n"] for one in checks}

    one_test, looked_at = needed["off"], needed["auto"]
    assert looked_at["quiz"] == pytest.approx(1.09 * one_test["quiz"], rel=0.01)
    assert looked_at["small"] == one_test["small"] < 2000


@pytest.mark.parametrize(
    ("n", "setting", "expected"),
    [
        (1999, "auto", None),
        (2000, "auto", 300),
        (2400, "off", None),
        (400, "on", 300),
        (300, "on", None),
    ],
)
def test_auto_stops_from_2000_examples_on(project, n, setting, expected):
    project.settings(ini=f'quant_sequential = "{setting}"')
    source = f"work = large('work', {n})\n" + budget("int4", "max_accuracy_drop=0.05", "work")
    project.tests(source + "def test_a(quant): ...")

    project.run("--quant-json=run.json")

    (check,) = project.record()["checks"]
    assert check["n"] == (expected or n)
    assert check["n_planned"] == (n if expected else None)
    assert check["stopped_early"] is bool(expected)


def test_the_command_line_wins_and_a_wrong_value_is_refused(project):
    project.settings(ini='quant_sequential = "off"')
    project.tests(budget("int4", "max_accuracy_drop=0.05") + "def test_a(quant): ...")

    project.run("--quant-json=run.json", "--quant-sequential=on")
    wrong = project.run("--quant-sequential=maybe")

    assert stops(project) == {("int4", "max_accuracy_drop"): ("fail", 300, 2400)}
    assert wrong.ret == 4
    wrong.stderr.fnmatch_lines(["*--quant-sequential='maybe': expected one of auto, on, off*"])


def test_limit_sets_how_many_examples_there_are(project):
    project.tests(budget("int4", "max_accuracy_drop=0.05") + "def test_a(quant): ...")

    project.run("--quant-json=run.json", "--quant-limit=1000")
    assert stops(project) == {("int4", "max_accuracy_drop"): ("fail", 1000, None)}

    project.run("--quant-json=run.json", "--quant-limit=2100")
    assert stops(project) == {("int4", "max_accuracy_drop"): ("fail", 300, 2100)}


SUITE = (
    budget("int4", "max_accuracy_drop=0.05")
    + budget("mild", "max_accuracy_drop=0.05")
    + "def test_soon(quant): ...\n"
    + budget("int4", "max_accuracy_drop=0.05, max_flip_rate=0.19")
    + budget("mild", "max_accuracy_drop=0.02")
    + "def test_late(quant): ...\n"
    + budget("int4", "max_accuracy_drop=0.3", "")
    + "def test_body(quant):\n    assert quant.measure(invoice).n < 2400\n"
)


SELECTIONS = (
    ("test_suite.py::test_late", "test_suite.py::test_body", "test_suite.py::test_soon"),
    ("-k", "test_late"),
    ("-k", "mild"),
    ("test_suite.py::test_body",),
)


def test_every_selection_and_order_gives_the_same_records(project, how):
    project.tests(SUITE)
    pinned = ("--quant-json=run.json", "--quant-family-size=10")
    project.run(*how, *pinned)
    full = checks_of(project)
    assert len(full) == 6
    ns = {check["n"] for check in full.values()}
    assert len(ns) > 2, "the budgets stop at different times"

    for args in SELECTIONS[: 1 if how else None]:
        project.run(*how, *pinned, *args)
        some = checks_of(project)
        assert some
        assert some == {key: full[key] for key in some}


def test_variants_that_stop_at_different_times_are_never_mixed_silently(project):
    project.tests(SUITE)

    result = project.run("--quant-json=run.json")

    found = {(m["variant"], m["n"]) for m in project.record()["measurements"]}
    largest = {}
    for check in project.record()["checks"]:
        largest[check["variant"]] = max(largest.get(check["variant"], 0), check["n"])
    assert found == {*largest.items(), ("fp16", max(largest.values()))}
    assert {n < 2400 for n in largest.values()} == {True, False}
    for variant, n in {**largest, "fp16": max(largest.values())}.items():
        tail = f" (on {n:,} of 2,400)" if n < 2400 else ""
        result.stdout.fnmatch_lines([f" {variant}* %{tail}"])


def test_a_rerun_returns_the_first_verdict(project):
    project.tests(
        budget("int4", "max_accuracy_drop=0.05")
        + "@pytest.mark.flaky(reruns=1)\ndef test_a(quant): ...\n"
    )

    result = project.run("--quant-json=run.json")

    result.assert_outcomes(failed=1)
    assert stops(project) == {("int4", "max_accuracy_drop"): ("fail", 300, 2400)}


def test_the_command_that_reproduces_says_how_it_was_measured(project):
    project.tests(budget("int4", "max_accuracy_drop=0.05") + "def test_a(quant): ...")

    result = project.run("--quant-sequential=on", "--quant-seed=3")

    result.stdout.fnmatch_lines(["*reproduce: *--quant-sequential=on*--quant-seed=3*"])


def test_another_seed_is_another_order(project):
    project.tests(budget("int4", "max_accuracy_drop=0.05") + "def test_a(quant): ...")

    levels = set()
    for seed in range(3):
        project.run("--quant-json=run.json", f"--quant-seed={seed}")
        levels.add(project.record()["checks"][0]["variant_level"])

    assert len(levels) > 1


def test_per_example_records_are_those_of_each_verdict(project):
    project.tests(SUITE)

    project.run("--quant-json=run.json")

    from pytest_quantcheck.core.examples import unpack

    run = project.record()
    data = (project.pytester.path / "run.examples.jsonl.gz").read_bytes()
    lines = unpack(data, sha256=run["examples"]["sha256"], place="run")
    for check in run["checks"]:
        assert len(lines[check["examples"]].ids) == check["n"]

"""`quantcheck suggest-budgets`: table, explanation, markers, and what is refused."""

import re
from dataclasses import replace

import known_records as known
import numpy as np
import pytest
from example_records import rows

from pytest_quantcheck.core.grammar import parse_limit

ROW = re.compile(r"^ (\S+) +(int\d(?: \(nf4\))?) +((?:max|min)_\w+) +(.*)$", re.MULTILINE)


def limits(printed):
    """Return the rows of the table by workload, variant and limit."""
    return {
        (found[1], found[2], found[3]): re.split(" {2,}", found[4])
        for found in ROW.finditer(printed)
    }


def markers(printed):
    return [line for line in printed.splitlines() if line.startswith("@")]


def test_every_fitting_limit_has_a_row_and_markers_can_be_pasted(saved, quantcheck):
    path = saved.answers().documents().in_family(1).write()

    printed = quantcheck("suggest-budgets", path)

    assert printed.startswith("suggested budgets · models/helpdesk · fp16 reference\n")
    assert [key[0] + " " + key[2] for key in limits(printed)] == [
        "manual max_perplexity_ratio",
        "manual max_perplexity",
        "triage max_accuracy_drop",
        "triage min_accuracy",
        "triage min_accuracy_recovery",
        "triage max_flip_rate",
        "triage max_harmful_flip_rate",
    ]
    assert "200 + 200" in printed
    assert "25 + 25" in printed
    first, second = markers(printed)
    ratio = re.fullmatch(
        r'@pytest\.mark\.quant_budget\("int4", workload=manual, max_perplexity_ratio=(.*)\)', first
    )
    drop = re.fullmatch(
        r'@pytest\.mark\.quant_budget\("int4", workload=triage, max_accuracy_drop=(.*), '
        r"max_flip_rate=(.*)\)",
        second,
    )
    assert parse_limit("max_perplexity_ratio", float(ratio[1])).value > 1
    assert 0 < float(drop[1]) < float(drop[2]) < 0.2


def test_the_output_says_what_the_budgets_claim(saved, quantcheck):
    path = saved.answers().write()

    printed = " ".join(
        quantcheck("suggest-budgets", path, "--false-alarm=0.01", "--seed=7").split()
    )

    assert "FAIL in at most 1.0 % of the runs on as many other examples" in printed
    assert "alpha 0.05 over a family of 20; a smaller family fails more often" in printed
    assert "Halves are drawn with seed 7" in printed
    assert "Test these budgets on other examples than the 400 (at most) they come from" in printed


def test_equal_arguments_print_equal_bytes_and_seeds_differ(saved, quantcheck):
    path = saved.answers(n=700, flips=0.2).in_family(1).write()

    first = quantcheck("suggest-budgets", path)

    assert quantcheck("suggest-budgets", path, "--seed=0") == first
    assert limits(quantcheck("suggest-budgets", path, "--seed=5")) != limits(first)


def test_variants_and_workloads_can_be_chosen(saved, quantcheck, refused):
    saved.answers().answers(seed=1, name="int8").documents()
    path = saved.answers(seed=2, workload="shelf").write()

    chosen = limits(
        quantcheck("suggest-budgets", path, "--variant=int4", "--workload=triage",
                   "--workload=manual")
    )  # fmt: skip

    assert {key[:2] for key in chosen} == {("triage", "int4 (nf4)"), ("manual", "int4 (nf4)")}
    message = refused("suggest-budgets", path, "--workload=triag")
    assert "--workload=triag: the run has no such workload; did you mean 'triage'?" in message
    assert "has no such variant" in refused("suggest-budgets", path, "--variant=fp4")


def test_too_few_examples_are_refused(saved, refused, quantcheck):
    clusters = [i // 20 for i in range(400)]
    saved.answers(n=199, workload="small").documents(n=39, workload="few")
    saved.answers(workload="alike", clusters=clusters)
    path = saved.write()

    message = refused("suggest-budgets", path)

    assert "no workload has examples to propose on one half and check on the other" in message
    assert "small has 199 examples, at least 200 are needed" in message
    assert "few has 39 documents, at least 40 are needed" in message
    assert "alike has 20 clusters, at least 40 are needed" in message
    saved.answers(n=200).write()
    printed = quantcheck("suggest-budgets", path)
    assert " not suggested: small has 199 examples, at least 200 are needed\n" in printed
    assert {key[0] for key in limits(printed)} == {"triage"}


def test_what_stopped_early_is_refused(saved, refused):
    path = saved.answers(n_planned=2400).write()

    message = refused("suggest-budgets", path)

    assert "triage on int4 stopped early, at 400 of 2,400 examples" in message
    assert "measure all with pytest --quant-sequential=off" in message


def test_a_budget_that_stopped_early_does_not_hide_what_another_measured(saved, quantcheck):
    path = saved.answers(n=400, n_planned=700).answers(n=700).write()

    printed = quantcheck("suggest-budgets", path)

    assert "stopped early" not in printed
    assert "350 + 350" in printed
    assert "200 + 200" not in printed


@pytest.mark.parametrize("rate", ["0", "0.5", "5", "nan"])
def test_a_rate_that_is_none_is_refused(rate, saved, refused):
    message = refused("suggest-budgets", saved.answers().write(), f"--false-alarm={rate}")

    assert f"--false-alarm={rate}: expected a number above 0 and below 0.5" in message


def test_a_seed_below_0_and_a_run_without_measurements_are_refused(saved, refused):
    path = saved.write()

    assert "no variant was measured in it" in refused("suggest-budgets", path)
    assert "--seed=-1: expected a whole number" in refused("suggest-budgets", path, "--seed=-1")
    assert "No such file" in refused("suggest-budgets", path.with_name("none.json"))


def test_clusters_are_split_as_a_whole_and_shown(saved, quantcheck):
    path = saved.answers(clusters=[i // 4 for i in range(400)]).write()

    printed = quantcheck("suggest-budgets", path)

    assert "50 + 50" in printed
    assert "clusters" in printed.splitlines()[1]


def test_halves_that_disagree_get_no_marker(saved, quantcheck):
    from pytest_quantcheck.stats.scores import ExampleScores
    from pytest_quantcheck.stats.suggest import split

    ids = tuple(f"e{i}" for i in range(400))
    ones = np.ones(400)
    halves = split(ExampleScores(metric="accuracy", ids=ids, values=ones, weights=ones), seed=0)
    values = [float(i % 2 == 0 or name in halves.proposing) for i, name in enumerate(ids)]
    path = saved.add([rows("accuracy", ones)], [rows("accuracy", values)]).in_family(1).write()

    printed = quantcheck("suggest-budgets", path)

    assert limits(printed)["triage", "int4 (nf4)", "max_accuracy_drop"][-2] == "FAIL"
    assert "FAIL in the other half: the halves disagree, so there is no marker for it" in printed
    assert markers(printed) == []


def test_what_bears_no_budget_is_shown_as_none(saved, quantcheck):
    saved.documents()
    scores = np.random.default_rng(0).uniform(-1, 1, 300)
    sides = [[rows("score", scores, bounds=[-1.0, 1.0])], [rows("score", scores - scores / 50,
             bounds=[-1.0, 1.0])]]  # fmt: skip
    path = saved.add(*sides, workload="judged", kind="Scored").write()

    printed = quantcheck("suggest-budgets", path, "--workload=judged")

    assert limits(printed)["judged", "int4 (nf4)", "min_score_recovery"][-1].split()[-1] == "none"
    assert "none: no test of these examples bears a budget" in printed
    (marker,) = markers(printed)
    assert marker.startswith('@pytest.mark.quant_budget("int4", max_score_drop=')


def test_faults_have_a_rise_each(saved, quantcheck):
    rng = np.random.default_rng(3)
    sides = [
        [rows("exact_match", rng.random(300) < 0.8), rows("empty", rng.random(300) < share)]
        for share in (0.0, 0.02)
    ]
    path = saved.add(*sides, workload="invoice-2", kind="Generation").write()

    printed = quantcheck("suggest-budgets", path)

    names = [key[2] for key in limits(printed)]
    assert names[-1] == "max_empty_rise"
    assert "max_empty" not in names
    assert "max_flip_rate" in names
    (marker,) = markers(printed)
    assert "workload=invoice_2, max_exact_match_drop=" in marker


def test_each_model_stands_by_itself(saved, quantcheck):
    other = replace(known.ENVIRONMENT, model="models/other", family_size=1)
    saved.run = replace(saved.run, environments=[known.ENVIRONMENT, other])
    path = saved.answers().answers(seed=1, model="models/other").write()

    first, second = quantcheck("suggest-budgets", path).split("\n\nsuggested budgets · ")

    assert "models/helpdesk · fp16 reference" in first
    assert second.startswith("models/other · fp16 reference\n")
    assert "family of 20" in first
    assert "family of 1;" in second

"""Budgets on one slice of a workload, and the warning where a slice collapses unseen."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

from pytest_quantcheck.core.grammar import parse_limit
from pytest_quantcheck.plugin.slices import _of_examples, collapsed
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.scores import ExampleScores
from pytest_quantcheck.workloads.example import DocumentItem, Example

USAGE = 4
# int4 is wrong below 200: all of `refunds`, none of the rest.
SLICED = """
def sliced(kind, *, n_refunds, **fields):
    return kind.from_examples(
        rows(1000, slice=lambda i: "refunds" if i < n_refunds else "orders", **fields),
        name="triage")

triage = sliced(MultipleChoice, n_refunds=200, context=lambda i: f"question {i}:",
                choices=[" right", " wrong"], answer=0)
manual = Documents.from_examples(
    rows(400, text=lambda i: f"page {150 + i} " + "of the manual " * (5 + i % 4),
         slice=lambda i: "old" if i < 50 else f"new{i % 2}"), name="manual")
"""
BUDGET = "@pytest.mark.quant_budget('int4', workload=triage, {})\ndef test_triage(quant): ...\n"


def checks_of(project):
    return json.loads((project.pytester.path / "run.json").read_text())["checks"]


def test_a_budget_on_a_slice_sees_that_slice_only(project, how):
    project.tests(
        SLICED
        + "@pytest.mark.quant_budget('int4', workload=triage, max_accuracy_drop=0.3)\n"
        + "@pytest.mark.quant_budget('int4', workload=triage, slice='orders',"
        " max_accuracy_drop=0.02)\n" + BUDGET.format("slice='refunds', max_accuracy_drop=0.1")
    )

    result = project.run(*how, "--quant-json=run.json")

    assert result.ret == 1
    found = {c["slice"]: (c["outcome"], c["n"], c["variant_level"]) for c in checks_of(project)}
    assert found == {
        "refunds": ("fail", 200, 0.0),
        "orders": ("pass", 800, 1.0),
        None: ("pass", 1000, 0.8),
    }
    result.stdout.fnmatch_lines(["FAIL: int4*on triage[[]refunds[]]: accuracy drop 100.0 pp*"])
    result.stdout.fnmatch_lines(["*triage[[]refunds[]]*int4*<= 10.0 pp*200*FAIL"])
    result.stdout.fnmatch_lines(["*family 5*"])
    worst = next(c["worst"] for c in checks_of(project) if c["slice"] == "refunds")
    assert {example["slice"] for example in worst} == {"refunds"}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (SLICED + BUDGET.format("slice='refund', max_accuracy_drop=0.1"),
         "slice='refund': workload triage has no such slice; did you mean 'refunds'?*orders"),
        ("triage = quiz\n" + BUDGET.format("slice='refunds', max_accuracy_drop=0.1"),
         "workload quiz has no such slice; its examples have no field slice"),
    ],
)  # fmt: skip
def test_an_unknown_slice_is_a_usage_error_before_anything_is_measured(project, source, message):
    project.tests(source)

    result = project.run()

    assert result.ret == USAGE
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"not measured: quant_budget at test_suite.py:*{message}*"])


WARNINGS = {
    "right or wrong": (
        "max_accuracy_drop=0.3",
        "triage[[]refunds[]] on int4 (lossy-200): accuracy drop 100.0 pp [[]*[]] (90 % CI), "
        "n = 200: over the budget of <= 30.0 pp, though the whole passes",
    ),
    "scores": (
        "max_score_drop=0.3",
        "triage[[]refunds[]] on int4 (lossy-200): score drop 0.5000 [[]*[]] (90 % CI), n = 200: "
        "over the budget of <= 0.3, though the whole passes",
    ),
    "perplexity": (
        "max_perplexity_ratio=1.6",
        "manual[[]old[]] on int4 (lossy-200): perplexity ratio * [[]*[]] (90 % CI), n = 50: over "
        "the budget of <= 1.6, though the whole passes",
    ),
}
BODIES = {
    "right or wrong": "quant.measure(triage)",
    "scores": "quant.compare([{'prompt': f'write {i}', 'slice': 'refunds' if i < 200 else 'rest'}"
    " for i in range(1000)], score=lambda out, ex: 0.7 + len(ex['prompt']) / 1e3 if out =="
    " 'right' else 0.2 + len(ex['prompt']) / 1e3, name='triage')",
    "perplexity": "quant.measure(manual)",
}


@pytest.mark.parametrize("kind", WARNINGS)
def test_a_slice_that_collapses_unseen_is_said_once(project, how, kind):
    limit, line = WARNINGS[kind]
    project.tests(
        SLICED + f"@pytest.mark.quant_budget('int4', {limit})\n"
        f"def test_triage(quant):\n    {BODIES[kind]}\n"
    )

    result = project.run(*how)

    assert result.ret == 0
    result.stdout.fnmatch_lines([f" warning: {line}"])
    assert result.stdout.str().count("though the whole") == 1


def test_an_even_loss_is_no_collapse(project):
    project.tests(SLICED + BUDGET.format("max_accuracy_drop=0.3").replace("int4", "int8"))

    result = project.run()

    assert result.ret == 0
    result.stdout.no_fnmatch_line("*though the whole*")


def test_weights_have_no_slices(project, how):
    project.tests(SLICED + BUDGET.format("slice='refunds', max_weight_memory_ratio=0.9"))

    result = project.run(*how)

    assert result.ret == 2
    result.stdout.fnmatch_lines(["*weights have no slices; state it in a marker of its own*"])


def test_the_same_limit_on_two_slices_is_two_checks_and_twice_on_one_an_error(project):
    twice = (
        "@pytest.mark.quant_budget('int4', workload=triage, slice='refunds', max_flip_rate=.2)\n"
    )
    project.tests(SLICED + twice + BUDGET.format("slice='refunds', max_flip_rate=0.1"))

    result = project.run()

    assert result.ret == 2
    result.stdout.fnmatch_lines(["*max_flip_rate stands twice for int4 on the same level*"])


def test_a_slice_of_a_claim_about_these_examples_is_tested_as_a_sample(project):
    project.tests(SLICED + BUDGET.format("max_accuracy_drop=0.3, target='dataset'"))

    result = project.run()

    result.stdout.fnmatch_lines([" warning: triage[[]refunds]*100.0 pp [[]*] (90 % CI), n = 200:*"])


def test_a_slice_of_which_the_reference_knows_nothing_has_nothing_to_keep(project):
    project.tests(
        "half = Generation.from_examples(rows(100, prompt=lambda i: f'write {i}',\n"
        "    answer=lambda i: 'right' if i % 2 else 'never',\n"
        "    slice=lambda i: 'known' if i % 2 else 'unknown'), name='half', max_new_tokens=8)\n"
        "@pytest.mark.quant_budget('int8', workload=half, min_exact_match_recovery=0.8)\n"
        "def test_half(quant): ..."
    )

    result = project.run()

    assert result.ret == 0
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("inside", "kept"), [("a", ["a#1", "a#2"]), ("b#1", ["b#1"]), ("b", ["b"]), ("c", ["c#1"])]
)
def test_a_slice_holds_the_parts_of_its_examples_and_no_other_example(inside, kept):
    names = ("a#1", "a#2", "b", "b#1", "c#1")
    scores = ExampleScores(
        metric="perplexity", ids=names, values=np.arange(5.0), weights=np.ones(5)
    )

    found = _of_examples(scores, ids={"a", "b", "b#1", "c"}, inside={inside})

    assert [*found.ids] == kept
    assert found.values.tolist() == [names.index(name) for name in kept]


@dataclass(frozen=True)
class Side:
    """As much of a measurement as slices need."""

    examples: tuple
    scores: dict
    outputs: tuple = ()
    divergences: tuple = ()
    workload_name: str = "triage"


def losing_in_the_first(metric, *, n_slices):
    """Return a reference without a fault, and a variant with six in 40 of the first slice."""
    n, is_fault = 40, metric == "empty"
    names = [f"e{i:04}" for i in range(n * n_slices)]
    slices = ["first", *(f"other {i}" for i in range(1, n_slices))]
    examples = [
        Example(id=name, item=DocumentItem(text=name), cluster=None, slice=slices[row // n])
        for row, name in enumerate(names)
    ]
    return tuple(
        Side(
            examples=tuple(examples),
            outputs=tuple(names),
            scores={
                metric: ExampleScores(
                    metric=metric,
                    ids=tuple(names),
                    values=((np.arange(len(names)) < n_lost) == is_fault).astype(float),
                    weights=np.ones(len(names)),
                )
            },
        )
        for n_lost in (0, 6)
    )


@pytest.mark.parametrize(("n_slices", "found"), [(1, ["first"]), (40, [])])
@pytest.mark.parametrize("keyword", ["max_accuracy_drop", "max_empty_rise"])
def test_many_slices_together_err_as_rarely_as_one_budget(keyword, n_slices, found):
    metric = keyword.split("_")[1]
    sides = losing_in_the_first(metric, n_slices=n_slices)

    shown = collapsed(parse_limit(keyword, 0.05), metric, sides=sides, levels=levels(0.05, 1))

    assert [name for name, _ in shown] == found

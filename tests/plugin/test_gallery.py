"""Which examples are shown, and how much of them is kept."""

import json
from dataclasses import replace

import numpy as np
import pytest

from pytest_quantcheck.core.variant import Variant
from pytest_quantcheck.measure.measurement import Measurement, Output
from pytest_quantcheck.plugin.gallery import Changes, examine_changes
from pytest_quantcheck.stats.scores import ExampleScores
from pytest_quantcheck.workloads.example import Example, GenerationItem

N = 40


def measured(values, *, texts=None, margins=None, slices=None, prompt="ask", tokens=None):
    examples = tuple(
        Example(
            id=f"e{i}", item=GenerationItem(prompt=prompt, answers=("yes", "yep")),
            slice=slices[i] if slices else None,
        )
        for i in range(N)
    )  # fmt: skip
    texts, margins = texts or [""] * N, margins or [None] * N
    scores = ExampleScores(
        metric="exact_match",
        ids=tuple(example.id for example in examples),
        values=np.array(values, np.float64),
        weights=np.ones(N),
    )
    return Measurement(
        variant=Variant(name="int8", backend="fake", precision="int8"), workload_name="w",
        kind="Generation", fingerprint="f", examples=examples, n_planned=len(examples),
        scores={"exact_match": scores},
        outputs=tuple(
            Output(text=t, margin=m, tokens=ids or (), n_tokens=None if ids is None else len(ids))
            for t, m, ids in zip(texts, margins, tokens or [None] * N, strict=True)
        ),
        tokens=1, seconds=1.0, compute_dtype="float32", first_token_ids=(1,),
    )  # fmt: skip


def test_fields_of_the_data_that_nobody_reads_are_kept_as_short_texts():
    before, after = measured([1] * N), measured([0] + [1] * (N - 1))
    extra = {"source": "shop" * 100, "tags": ["a", "é"], "level": 3} | {
        f"f{i}": i for i in range(9)
    }
    examples = (replace(after.examples[0], extra=extra), *after.examples[1:])

    (shown,) = examine_changes(before, replace(after, examples=examples), "exact_match").shown

    assert shown.fields["source"].startswith("shopshop")
    assert "200 characters left out" in shown.fields["source"]
    assert (shown.fields["tags"], shown.fields["level"]) == ('["a", "é"]', "3")
    assert len(shown.fields) == 10


def test_lost_ones_come_first_by_the_margin_fallen_then_one_gained():
    before = measured([1] * 20 + [0] * 20, margins=[1.0] * N)
    margins = [-float(i) for i in range(20)] + [2.0 + i for i in range(20)]
    after = measured([0] * 20 + [1] * 20, margins=margins)

    changes = examine_changes(before, after, "exact_match")

    assert [one.example for one in changes.shown] == ["e19", "e18", "e17", "e16", "e15", "e39"]
    assert [one.is_worse for one in changes.shown] == [True] * 5 + [False]
    assert (changes.n_worse, changes.n_better) == (20, 20)


def test_generated_outputs_say_at_which_token_they_part():
    before = measured([1] * N, tokens=[(1, 2, 3)] * N)
    after = measured([0] * 3 + [1] * 37, tokens=[(1, 2, 4), (1,), (9,)] + [(1, 2, 3)] * 37)

    changes = examine_changes(before, after, "exact_match")

    assert [one.first_divergence for one in changes.shown] == [2, 1, 0]
    assert (changes.n_diverged, changes.mean_first_divergence) == (3, 1.0)
    equal = examine_changes(before, before, "exact_match")
    assert (equal.n_diverged, equal.mean_first_divergence) == (0, None)
    chosen = examine_changes(measured([1] * N), measured([0] * N), "exact_match")
    assert (chosen.n_diverged, chosen.shown[0].first_divergence) == (None, None)


def test_losses_are_counted_by_slice():
    slices = ["rare"] * 10 + ["common"] * 30

    changes = examine_changes(
        measured([1] * N, slices=slices),
        measured([0] * 10 + [1] * 30, slices=slices),
        "exact_match",
    )

    rare, common = changes.slices
    assert (rare.slice, rare.n, rare.n_worse, rare.n_better) == ("rare", 10, 10, 0)
    assert (common.slice, common.n, common.n_worse) == ("common", 30, 0)
    assert rare.p_concentrated < 1e-8
    assert common.p_concentrated == pytest.approx(1)


def test_a_long_prompt_keeps_its_end_and_long_outputs_the_place_where_they_part():
    reference = ["a" * 50_000 + "left" + "b" * 50_000] * N
    variant = ["a" * 50_000 + "right"] * N

    (shown, *_) = examine_changes(
        measured([1] * N, texts=reference, prompt="begin " + "x" * 50_000 + " end?"),
        measured([0] * N, texts=variant),
        "exact_match",
    ).shown

    cut = "[40,000 characters left out]"
    assert shown.reference_output == cut + "a" * 10_000 + "left" + "b" * 9_996 + (
        "[40,004 characters left out]"
    )
    assert shown.variant_output == cut + "a" * 10_000 + "right"
    assert shown.expected == "yes | yep"
    assert len(shown.prompt) < 20_100


def test_a_long_prompt_loses_its_middle():
    prompt = "begin " + "x" * 50_000 + " end?"

    (shown, *_) = examine_changes(
        measured([1] * N, prompt=prompt), measured([0] * N, prompt=prompt), "exact_match"
    ).shown

    assert shown.prompt == prompt[:10_000] + "[30,011 characters left out]" + prompt[-10_000:]


def test_without_a_measurement_nothing_changed():
    assert examine_changes(None, None, "accuracy") == Changes()


def test_records_count_what_changed(project):
    project.tests("""
@pytest.mark.quant_budget("int4", workload=quiz, max_accuracy_drop=0.02)
def test_quiz(quant): ...
""")

    project.run("--quant-json=run.json")

    (check,) = json.loads((project.pytester.path / "run.json").read_text())["checks"]
    assert (check["n_worse"], check["n_better"], check["slices"]) == (200, 0, [])
    assert len(check["worst"]) == 5

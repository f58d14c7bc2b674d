"""The reference measured twice: other packs, another order, the same examples."""

from __future__ import annotations

import pytest
from fake_model import INT8, REFERENCE, make_pool
from tiny_classifiers import KINDS, save

from pytest_quantcheck import Classification, Documents, Generation, MultipleChoice
from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.measure.course import Portion
from pytest_quantcheck.measure.noise import is_identical, margin_change, other_limit
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.runner import Runner
from pytest_quantcheck.stats.paired import align

CHOICES = MultipleChoice.from_examples(
    [{"id": f"q{i}", "context": f"{i}:", "choices": ["a", "b"], "answer": 0} for i in range(10)],
    name="quiz",
)
ESSAYS = Generation.from_examples(
    [{"id": f"p{i}", "prompt": f"the thing {i}", "answer": "x"} for i in range(9)],
    name="essay",
    max_new_tokens=6,
)
FEW = Documents.from_examples([{"text": "the an he " * 40}, {"text": "in er"}], name="few")
MANY = Documents.from_examples([{"text": "the number " * (1 + i % 3)} for i in range(12)], name="m")
LABELS = Classification.from_examples(
    [{"text": f"the thing {i}", "label": "an"} for i in range(9)],
    labels=["an", "er"],
    name="labels",
)


def make_runner(pool=None, **options):
    return Runner(pool or make_pool(), reference=REFERENCE, **options)


@pytest.mark.parametrize(("limit", "other"), [(None, 7), (64, 7), (8, 7), (7, 3), (2, 1), (1, 1)])
def test_the_second_measurement_has_other_packs(limit, other):
    assert other_limit(limit) == other


def test_examples_are_asked_from_last_to_first_and_found_in_order():
    pool = make_pool()
    runner = make_runner(pool)

    found = runner.noise.measure(CHOICES)

    model = pool.get(REFERENCE)
    first, second = model.asked[:20], model.asked[20:]
    assert [request.tokens for request in first[::2]] == [
        request.tokens for request in second[::2]
    ][::-1]
    assert found.reference.pack_limit is None
    assert found.variant.pack_limit == 7
    assert model.pack_limit is None
    assert found.variant.examples == found.reference.examples
    assert is_identical(found)


def test_each_workload_is_measured_twice_once():
    pool = make_pool()
    runner = make_runner(pool)

    noise = runner.noise.measure(CHOICES)
    pair = runner.measure_pair(REFERENCE, CHOICES)

    assert runner.noise.measure(CHOICES) is noise
    assert len(pool.get(REFERENCE).asked) == 2 * 20
    assert pair.reference.scores["accuracy"].values is noise.reference.scores["accuracy"].values


def test_scores_come_back_in_the_order_of_their_examples():
    pool = make_pool()
    pool.get(REFERENCE).nats.update({"3": -9.0, "b": -0.5, "a": -1.0})
    graded = Generation.from_examples(
        [{"id": f"p{i}", "prompt": f"{i}", "answer": f"{i}"} for i in range(5)],
        name="echo",
        max_new_tokens=2,
    )

    found = make_runner(pool).noise.measure(graded)

    assert [output.text for output in found.variant.outputs] == ["0", "1", "2", "3", "4"]
    assert found.variant.scores["exact_match"].ids == found.reference.scores["exact_match"].ids


def test_clusters_are_those_of_the_first_measurement():
    rows = [{"context": f"{i}:", "choices": ["a", "b"], "answer": 0} for i in range(10)]
    clustered = MultipleChoice.from_examples(
        [row | {"cluster": f"c{i // 3}"} for i, row in enumerate(rows)], name="clustered"
    )

    found = make_runner().noise.measure(clustered)

    codes = [side.scores["accuracy"].clusters for side in (found.reference, found.variant)]
    assert codes[0].tolist() == codes[1].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]
    align(*(side.scores["accuracy"] for side in (found.reference, found.variant)))


def test_an_error_is_kept_for_whoever_asks():
    pool = make_pool()
    pool.get(REFERENCE).broken = "7"
    runner = make_runner(pool)

    for _ in range(2):
        with pytest.raises(MeasurementError, match="example q7 of quiz"):
            runner.noise.measure(CHOICES)
    assert len(pool.get(REFERENCE).asked) == 20


def test_a_workload_in_batches_is_measured_twice_on_its_first_part():
    ends = Portion(batched_from=5, batch_ends=lambda *_: (4, 10))

    found = make_runner(portion=ends).noise.measure(CHOICES)

    assert len(found.variant.examples) < 10
    assert found.variant.examples == found.reference.examples


def test_prefetching_measures_twice_where_the_reference_must_leave():
    pool = make_pool(free=250)
    runner = make_runner(pool)

    runner.prefetch_reference([CHOICES], variant=INT8, with_noise=True)

    assert len(pool.get(REFERENCE).asked) == 2 * 20


@pytest.mark.parametrize("workload", [CHOICES, ESSAYS, FEW, MANY, LABELS], ids=lambda w: w.name)
def test_a_real_model_differs_from_itself_by_rounding_at_most(checkpoint, specs, workload):
    pool = Pool(specs, checkpoint("llama"), 0.9)
    runner = Runner(pool, reference=builtin_variant("fp32"))

    found = runner.noise.measure(workload)

    for name, scores in found.reference.scores.items():
        again = found.variant.scores[name]
        assert again.ids == scores.ids
        assert again.values == pytest.approx(scores.values, abs=1e-3)
    change = margin_change(found)
    assert change is None if workload is ESSAYS else change < 1e-4


def test_a_classification_head_is_measured_twice_too(tmp_path, specs):
    texts = Classification.from_examples(
        [{"text": f"the thing {i % 10}", "label": 0} for i in range(20)], name="texts"
    )
    pool = Pool(specs, save(tmp_path, KINDS[0]), 0.9)

    found = Runner(pool, reference=builtin_variant("fp16")).noise.measure(texts)

    assert found.variant.pack_limit == 7
    assert margin_change(found) < 1e-4

"""What only both outputs tell, and packs that both were measured in."""

from __future__ import annotations

import fake_model
import pytest
from fake_model import INT4, INT8, REFERENCE, FakeBackend, FakeModel, make_pool

from pytest_quantcheck import Generation, MultipleChoice, contains
from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.measure.runner import Runner

ANSWERS = {
    "fp16": {"ab": "four", "cd": "four", "ef": "four", "gh": ""},
    "int8": {"ab": "four five", "cd": "fo", "ef": "f", "gh": "x"},
    "int4": {"ab": "four", "cd": "four", "ef": "four", "gh": ""},
}


@pytest.fixture
def runner(monkeypatch):
    """Return a runner whose variants answer from the table."""
    load = FakeBackend.load

    def answering(self, variant, source):
        loaded = load(self, variant, source)
        loaded.answers = ANSWERS[variant.name]
        return loaded

    monkeypatch.setattr(FakeBackend, "load", answering)
    return Runner(make_pool(), reference=REFERENCE)


def workload(**options):
    rows = [{"prompt": prompt, "answer": "four"} for prompt in ANSWERS["fp16"]]
    return Generation.from_examples(rows, name="gen", **{"max_new_tokens": 9} | options)


def test_a_length_more_than_twice_or_less_than_half_the_references_is_drift(runner):
    found = runner.measure_pair(INT8, workload())
    assert found.variant.scores["length_drift"].values.tolist() == [1, 0, 1, 1]
    assert found.reference.scores["length_drift"].values.tolist() == [0, 0, 0, 0]
    assert tuple(found.variant.scores) == workload().metrics
    same = runner.measure_pair(INT4, workload())
    assert same.variant.scores["length_drift"].values.tolist() == [0, 0, 0, 0]


def test_a_judge_that_returns_one_number_takes_the_reference_as_right(runner):
    seen = []

    def judge(example, reference, variant):
        seen.append((example["prompt"], reference, variant))
        return 0.25 if reference != variant else 1

    made = workload(judge=judge, score=contains())
    found = runner.measure_pair(INT8, made)
    again = runner.measure_pair(INT8, made)
    assert again is found
    assert seen[:2] == [("ab", "four", "four five"), ("cd", "four", "fo")]
    assert len(seen) == 4
    assert found.reference.scores["score"].values.tolist() == [1, 1, 1, 1]
    assert found.variant.scores["score"].values.tolist() == [0.25] * 4
    assert found.variant.scores["score"].bounds == (0.0, 1.0)
    assert tuple(found.variant.scores)[:2] == ("contains", "score")


def test_a_judge_may_score_both(runner):
    made = workload(judge=lambda _, one, other: (len(one), len(other)), bounds=(0, 9))
    found = runner.measure_pair(INT8, made)
    assert found.reference.scores["score"].values.tolist() == [4, 4, 4, 0]
    assert found.variant.scores["score"].values.tolist() == [9, 2, 1, 1]


@pytest.mark.parametrize(
    ("verdict", "options", "message"),
    [
        (None, {}, "example 1 of gen: the judge returned None, expected a finite number"),
        (2, {}, r"the judge returned 2\.0, outside bounds=\(0\.0, 1\.0\)"),
        ((1, 2, 3), {}, r"returned \(1, 2, 3\), expected one score of the variant, or a pair"),
        ((1, "b"), {}, "returned 'b', expected a finite number"),
        (0.5, {"bounds": None}, "bounds=None names none; give bounds, or return a pair"),
    ],
)
def test_a_judge_that_gives_no_score_names_the_example(runner, verdict, options, message):
    made = workload(judge=lambda *_: verdict, **options)
    for _ in range(2):
        with pytest.raises(MeasurementError, match=message):
            runner.measure_pair(INT8, made)


def test_what_a_judge_raises_is_raised_with_its_example(runner):
    def judge(*_):
        raise KeyError("verdict")

    with pytest.raises(KeyError) as caught:
        runner.measure_pair(INT8, workload(judge=judge))
    assert caught.value.__notes__ == ["while judging example 1 of gen: 'four' and 'four five'"]


def test_workloads_without_outputs_have_no_such_metrics(runner):
    rows = [{"context": "Q:", "choices": ["a", "b"], "answer": 0}]
    found = runner.measure_pair(INT8, MultipleChoice.from_examples(rows, name="mc"))
    assert set(found.variant.scores) == {"accuracy", "accuracy_norm"}


class Tight(FakeModel):
    """Runs out of memory under more sequences than `roomy`, and says in what packs it worked."""

    def generate(self, prompts, decoding, **options):
        while len(prompts) > self.roomy and (self.pack_limit or len(prompts)) > self.roomy:
            self.pack_limit = (self.pack_limit or len(prompts)) // 2
        PACKS.append((self.digest, self.pack_limit))
        return super().generate(prompts, decoding, **options)


PACKS: list = []


@pytest.mark.parametrize(
    ("roomy", "expected"),
    [
        ({}, [("fp16", None), ("int8", None)]),
        ({"int8": 2}, [("fp16", None), ("int8", 2), ("fp16", 2)]),
        ({"fp16": 2}, [("fp16", 2), ("int8", None), ("int8", 2)]),
        ({"fp16": 2, "int8": 2}, [("fp16", 2), ("int8", 2)]),
        ({"fp16": 2, "int8": 1}, [("fp16", 2), ("int8", 1), ("fp16", 1)]),
    ],
)
def test_both_are_measured_in_the_smaller_packs(monkeypatch, roomy, expected):
    def load(_self, variant, source):
        fake_model.LOADS.append(variant.name)
        return Tight(
            device=source.device,
            digest=variant.precision,
            quantized_fraction=float(variant != REFERENCE),
            roomy=roomy.get(variant.name, 10**6),
        )

    monkeypatch.setattr(FakeBackend, "load", load)
    PACKS.clear()
    found = Runner(make_pool(), reference=REFERENCE).measure_pair(INT8, workload())
    assert expected == PACKS
    assert found.reference.pack_limit == found.variant.pack_limit == expected[-1][1]

"""Outputs that are broken whatever was asked, and what the reader is told of them."""

from __future__ import annotations

import pytest
from fake_model import FakeModel, make_pool, run

from pytest_quantcheck import Generation, contains
from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.measure.handle import Handle
from pytest_quantcheck.measure.tasks.common import Job
from pytest_quantcheck.measure.tasks.degenerate import is_loop
from pytest_quantcheck.measure.tasks.dispatch import run_task

PHRASE = [11, 12, 13, 14]


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ([], False),
        ([7] * 7, False),
        ([7] * 8, True),
        ([1, 2, 3, *[7] * 8], True),
        ([7, 8] * 3, False),
        ([7, 8] * 4, True),
        (PHRASE * 2, False),
        (PHRASE * 3, True),
        ([1, 2, *PHRASE * 3, 11, 12], True),
        ([1, 2, *PHRASE * 3, 99], False),
        ([*PHRASE * 2, *PHRASE[:3]], False),
        (list(range(40)), False),
        (list(range(40)) * 3, True),
        ([5, 5, 6] * 3, True),
    ],
)
def test_a_loop_is_a_phrase_three_times_at_the_end_and_eight_tokens_long(tokens, expected):
    assert is_loop(tokens) is expected


def workload(**options):
    rows = [{"prompt": prompt, "answer": "yes"} for prompt in ("ab", "cd", "ef", "gh")]
    length = {} if "run" in options else {"max_new_tokens": 24}
    return Generation.from_examples(rows, name="gen", **length, **options)


ANSWERS = {"ab": "yes", "cd": " \n", "ef": "no" * 6, "gh": "abcdefghijklmnopqrstuvwxyz"}


def test_degenerate_outputs_are_counted_beside_the_scores():
    result = run(workload(), FakeModel(answers=ANSWERS))
    found = {name: scores.values.tolist() for name, scores in result.scores.items()}
    assert found == {
        "exact_match": [1, 0, 0, 0],
        "empty": [0, 1, 0, 0],
        "truncated": [0, 0, 0, 1],
        "loop": [0, 0, 1, 0],
        "degenerate": [0, 1, 1, 0],
    }
    assert [output.n_tokens for output in result.outputs] == [3, 2, 12, 24]
    assert [len(output.tokens) for output in result.outputs] == [3, 2, 12, 24]
    assert result.plan == "by rule"


def test_outputs_cut_before_they_could_be_right_are_told():
    answers = ANSWERS | {"ab": "yes" * 9}
    result = run(workload(score=contains()), FakeModel(answers=answers))
    assert result.warnings == (
        "1 of 4 outputs were cut by max_new_tokens=24 and are not right; raise it, or end outputs "
        "with stop=",
    )
    judged = run(workload(judge=print), FakeModel(answers=answers))
    assert judged.warnings[0].startswith("2 of 4 outputs were cut")


def test_outputs_without_a_final_answer_are_told():
    result = run(workload(extract="(yes)"), FakeModel(answers=ANSWERS))
    assert result.scores["exact_match"].values.tolist() == [1, 0, 0, 0]
    assert result.warnings[1:] == (
        "extract= found nothing in 3 of 4 outputs, which count as wrong",
    )


def test_a_few_cut_outputs_are_no_news():
    rows = [{"prompt": f"{n}", "answer": f"{n}"[::-1]} for n in range(100, 130)]
    made = Generation.from_examples(rows, name="gen", max_new_tokens=3)
    assert run(made, FakeModel(answers={"100": "much too long"})).warnings == ()


def test_samples_are_drawn_with_streams_of_their_own():
    loaded = FakeModel(answers=ANSWERS)
    made = workload(temperature=0.7, samples=2, seed=3)
    result = run(made, loaded)
    ((decoding, streams),) = loaded.decodings
    assert decoding == made.decoding
    assert streams == tuple(made.decoding.stream(one.id) for one in made.examples())
    assert len(set(streams)) == 8
    assert result.scores["exact_match"].clusters.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def drive(run_one, **options):
    made = workload(**options, run=run_one)
    seen = []
    job = Job(
        loaded=FakeModel(answers=ANSWERS),
        workload=made,
        examples=made.examples(),
        handle=Handle(None, make_pool()),
        advance=lambda *step: seen.append(step),
    )
    return run_task(job), seen


def test_a_callable_makes_the_outputs_itself():
    result, seen = drive(lambda handle, example: f"{type(handle).__name__} {example['prompt']}")
    assert [output.text for output in result.outputs] == [f"Handle {p}" for p in ANSWERS]
    assert "truncated" not in result.scores
    assert (result.tokens, result.first_token_ids, result.warnings) == (36, (), ())
    assert result.plan == ""
    assert seen[-1] == (4, 36)


def test_what_a_callable_makes_must_be_text():
    with pytest.raises(MeasurementError, match="example 1 of gen: run= returned None, expected"):
        drive(lambda *_: None)

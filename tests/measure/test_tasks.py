"""Workloads become requests, and answers become scores: on a model whose answers are rules."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fake_model import BOS, FakeModel, run

from pytest_quantcheck import Generation, MultipleChoice
from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.measure.tasks.common import Job, cluster_codes
from pytest_quantcheck.measure.tasks.dispatch import run_task
from pytest_quantcheck.measure.tasks.pairs import pair_request
from pytest_quantcheck.workloads.custom import Scored
from pytest_quantcheck.workloads.example import DocumentItem, Example


def choices(*rows, **common):
    examples = [
        {"context": "Q:", "choices": list(options), "answer": answer} | common
        for options, answer in rows
    ]
    return MultipleChoice.from_examples(examples, name="mc")


def test_the_choice_with_the_largest_log_likelihood_is_the_answer():
    model = FakeModel(nats={"a": -1.0, "b": -2.0, "c": -3.0})
    result = run(choices((["a", "b"], 0), (["b", "c", "a"], 1)), model)
    accuracy = result.scores["accuracy"]
    assert accuracy.values.tolist() == [1.0, 0.0]
    assert accuracy.weights.tolist() == [1.0, 1.0]
    assert (accuracy.ids, accuracy.clusters) == (("1", "2"), None)
    assert [output.text for output in result.outputs] == ["a", "a"]
    assert [output.margin for output in result.outputs] == [1.0, -2.0]
    assert result.tokens == 5
    assert result.first_token_ids == (BOS, ord("Q"), ord(":"), ord("a"))


def test_the_normalized_answer_has_the_largest_log_likelihood_a_character():
    model = FakeModel(nats={"a": -1.0, "b": -1.4, " ": -1.0})
    result = run(choices(([" a", " bbb"], 1)), model)
    assert result.scores["accuracy"].values.tolist() == [0.0]
    # -2 / 1 character against -5.2 / 3: the space before a choice is no character of it. If it
    # were, -2 / 2 would beat -5.2 / 4.
    assert result.scores["accuracy_norm"].values.tolist() == [1.0]


@pytest.mark.parametrize("answer", [0, 1])
def test_a_tie_is_wrong_wherever_the_right_choice_stands(answer):
    result = run(choices((["a", "b"], answer)))
    assert result.scores["accuracy"].values.tolist() == [0.0]
    assert result.outputs[0].margin == 0.0
    assert result.outputs[0].text == "ab"[1 - answer]


def test_choices_ruled_out_entirely_are_a_tie():
    model = FakeModel(nats={"a": -math.inf, "b": -math.inf})
    assert run(choices((["a", "b"], 0)), model).outputs[0].margin == 0.0


def test_a_choice_longer_than_the_context_is_an_error():
    with pytest.raises(MeasurementError) as caught:
        run(choices((["a" * 50, "b"], 0), id="long-one"))
    assert str(caught.value) == (
        "example long-one of mc: context and choice take 52 tokens, and the model's context holds "
        "50; shorten the example or leave it out: nothing is truncated silently"
    )


def test_broken_logits_name_the_example():
    with pytest.raises(MeasurementError, match=r"^example 2 of mc: the logits are not finite"):
        run(choices((["a", "b"], 0), (["x", "y"], 0)), FakeModel(broken="y"))


def test_progress_counts_examples():
    seen = []
    run(choices((["a", "b"], 0), (["x", "y"], 0)), advance=lambda *step: seen.append(step))
    assert seen == [(0, 1), (1, 2), (1, 3), (2, 4)]


@pytest.mark.parametrize(
    ("context", "continuation", "merged", "expected"),
    [
        ("A:", " b", "", ("A: b", 3)),
        ("A: ", "b", "", ("A: b", 3)),
        ("A:", "bc", ":b", ("A:bc", 2)),
        ("A", "b", "Ab", ("Ab", 1)),
        (" ", "b", "", (" b", 1)),
    ],
    ids=["joint", "space moves", "merged", "merged whole", "no context"],
)
def test_context_and_continuation_are_tokenized_together(context, continuation, merged, expected):
    model = FakeModel(merged=merged)
    request = pair_request(model, context, continuation)
    assert (model.decode(request.tokens), request.first_target) == expected
    assert request.tokens[0] == BOS


def test_a_continuation_without_any_context_follows_the_prefix_token():
    model = FakeModel(prefix_token=7)
    model.encode = lambda text, special: [ord(c) for c in text]  # noqa: ARG005
    request = pair_request(model, " ", "b")
    assert (request.tokens, request.first_target) == ((7, ord(" "), ord("b")), 1)
    merged = FakeModel(merged="Ab")
    merged.encode = lambda text, special: FakeModel.encode(merged, text, special=False)  # noqa: ARG005
    assert pair_request(merged, "A", "b").first_target == 1


def generation(**row):
    rows = [{"prompt": "ab", "answer": ["x", " ba "]}, {"prompt": "cd", "answer": "no"}]
    return Generation.from_examples([one | row for one in rows], name="gen", max_new_tokens=4)


def test_exact_match_compares_stripped_output_with_every_answer():
    seen = []
    model = FakeModel(answers={"ab": " ba\n"})
    result = run(generation(), model, lambda *step: seen.append(step))
    assert result.scores["exact_match"].values.tolist() == [1.0, 0.0]
    assert [output.text for output in result.outputs] == [" ba\n", "dc"]
    assert result.outputs[0].margin is None
    assert (result.tokens, result.first_token_ids) == (6, (BOS, ord("a"), ord("b")))
    assert seen == [(1, 4), (2, 6)]


def test_a_prompt_without_room_for_its_answer_is_an_error():
    with pytest.raises(MeasurementError) as caught:
        run(generation(prompt="p" * 46))
    assert str(caught.value) == (
        "example 1 of gen: a prompt of 47 tokens and max_new_tokens=4 take 51 tokens, and the "
        "model's context holds 50; shorten the prompt, lower max_new_tokens, or leave the example "
        "out: nothing is truncated silently"
    )


def test_broken_logits_name_the_prompt():
    with pytest.raises(MeasurementError, match=r"^example 2 of gen: the logits"):
        run(generation(), FakeModel(broken="cd"))


def test_an_empty_encoding_becomes_the_prefix_token():
    model = FakeModel()
    model.encode = lambda text, special: []  # noqa: ARG005
    run(generation(), model)
    assert run(generation(), model).first_token_ids == (BOS,)


def scored(score, **options):
    settings = {"name": "own", "max_new_tokens": 4, "bounds": (0.0, 1.0)} | options
    return Scored(["ab", {"prompt": "cd", "wanted": "dc"}], score=score, **settings)


def test_the_users_scorer_sees_output_and_example():
    seen = []

    def score(output, example):
        seen.append((output, example))
        return output == "dc"

    result = run(scored(score))
    assert seen == [("ba", "ab"), ("dc", {"prompt": "cd", "wanted": "dc"})]
    assert result.scores["score"].values.tolist() == [0.0, 1.0]
    assert result.scores["score"].bounds == (0.0, 1.0)


def test_what_the_users_scorer_raises_is_raised_with_its_example():
    def score(output, example):  # noqa: ARG001
        raise KeyError("total")

    with pytest.raises(KeyError, match="total") as caught:
        run(scored(score))
    assert caught.value.__notes__ == ["while scoring example 1 of own, whose output was 'ba'"]


def test_an_unknown_kind_of_workload_is_a_usage_error():
    job = Job(loaded=FakeModel(), workload=object(), examples=())
    with pytest.raises(UsageError, match="expected MultipleChoice, Classification, Documents"):
        run_task(job)


@pytest.mark.parametrize(
    ("clusters", "expected"),
    [
        ((None, None), None),
        (("a", "b", "a"), [0, 1, 0]),
        (("a", None, "a", None), [0, 1, 0, 2]),
        (("2", None), [0, 1]),
    ],
)
def test_an_example_without_a_cluster_is_alone(clusters, expected):
    examples = [
        Example(id=str(number), item=DocumentItem(text="a"), cluster=cluster)
        for number, cluster in enumerate(clusters, start=1)
    ]
    codes = cluster_codes(examples)
    assert (codes if codes is None else codes.tolist()) == expected
    assert codes is None or codes.dtype == np.int64


@pytest.mark.parametrize(
    ("workload", "lacking"),
    [
        (choices((["a", "b"], 0)), "score"),
        (Generation.from_examples([{"prompt": "a", "answer": "b"}], name="g"), "generate"),
    ],
)
def test_a_model_that_cannot_do_what_is_asked_is_an_error_that_says_so(workload, lacking):
    class Half:
        def __init__(self, whole):
            self._whole = whole

        def __getattr__(self, name):
            if name == lacking:
                raise AttributeError(name)
            return getattr(self._whole, name)

    with pytest.raises(UsageError, match=f"asks a model to {lacking}, and Half has no such method"):
        run(workload, Half(FakeModel()))

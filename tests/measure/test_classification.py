"""Labels become requests, and log-likelihoods an answer."""

from __future__ import annotations

import math

import pytest
import tiny_models
from fake_model import FakeModel, run

from pytest_quantcheck import Classification
from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.runner import Runner

LABELS = {"up": "a", "down": ["b", "cc"]}


def tickets(*labels, text="T:", **options):
    rows = [{"text": text, "label": label} for label in labels]
    return Classification.from_examples(rows, name="t", **({"labels": LABELS} | options))


def test_the_label_with_the_largest_probability_is_the_answer():
    model = FakeModel(nats={" ": -0.5, "a": -1.0, "b": -1.25, "c": -0.75})
    result = run(tickets("up", "down"), model)
    up, down = -1.5, -0.5 + math.log(math.exp(-1.25) + math.exp(-1.5))

    assert result.scores["accuracy"].values.tolist() == [0.0, 1.0]
    assert [output.text for output in result.outputs] == ["down", "down"]
    assert [output.margin for output in result.outputs] == pytest.approx([up - down, down - up])
    assert [model.decode(one.tokens) for one in model.asked[:3]] == ["T: a", "T: b", "T: cc"]
    assert result.tokens == 2 * (2 + 2 + 3)
    assert len(result.prompt_digests) == 2


def test_a_label_that_ties_with_another_is_not_right():
    result = run(tickets("up", labels=["up", "no"]), FakeModel())

    assert result.scores["accuracy"].values.tolist() == [0.0]


def test_words_of_a_chat_are_what_the_assistant_says():
    model = FakeModel()
    run(tickets("up", chat=True), model)

    assert [model.decode(one.tokens[one.first_target :]) for one in model.asked] == ["a", "b", "cc"]
    assert model.decode(model.asked[0].tokens) == "<u>T:<a>a"


def test_words_follow_white_space_as_they_stand():
    model = FakeModel()
    run(tickets("up", text="T:\n"), model)

    assert model.decode(model.asked[0].tokens) == "T:\na"


def test_broken_logits_name_the_example():
    with pytest.raises(MeasurementError, match=r"^example 1 of t: the logits"):
        run(tickets("up"), FakeModel(broken="cc"))


@pytest.mark.parametrize("name", ["fp16", "nf4"])
def test_words_are_scored_as_a_model_asked_directly_scores_them(name, checkpoint, specs):
    variant = builtin_variant(name)
    runner = Runner(Pool(specs, checkpoint("llama"), 0.9), reference=builtin_variant("fp16"))
    workload = tickets("up", text="the king and", labels={"up": "the end", "down": "another"})

    measured = runner.measure(variant, workload)
    handle = runner.handle(variant)

    start = len(handle.tokenizer("the king and")["input_ids"])
    up, down = (
        tiny_models.naive_scores(handle.model, handle.tokenizer(text)["input_ids"], start).sum()
        for text in ("the king and the end", "the king and another")
    )
    assert measured.outputs[0].margin == pytest.approx(up - down, abs=1e-3)
    runner.close()

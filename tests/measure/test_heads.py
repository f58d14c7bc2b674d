"""Models with a classification head: loaded in every precision, measured as if alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers
from tiny_classifiers import KINDS, LABELS, config, save

from pytest_quantcheck import Classification, Documents, Generation, MultipleChoice
from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.measure.engine.classification import ClassificationModel
from pytest_quantcheck.measure.engine.plan import Limits
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.protocols import NonFiniteLogitsError
from pytest_quantcheck.measure.runner import Runner

TEXTS = ["the king", "and then", "the other thing in the end", "an end", "king and the king"]
REFERENCE = builtin_variant("fp16")


@pytest.fixture(scope="module")
def runners(tmp_path_factory, specs):
    made = {}

    def get(kind):
        if kind not in made:
            source = save(tmp_path_factory.mktemp(kind), kind)
            made[kind] = Runner(Pool(specs, source, 0.9), reference=REFERENCE)
        return made[kind]

    yield get
    for runner in made.values():
        runner.close()


def tickets(*labels, texts=TEXTS, **options):
    rows = [
        {"text": text, "label": label}
        for text, label in zip(texts, labels or ["other"] * len(texts), strict=True)
    ]
    return Classification.from_examples(rows, name="tickets", **options)


def alone(handle, text):
    """Ask transformers for one text, as its users do."""
    inputs = handle.tokenizer(text, return_tensors="pt")
    inputs.pop("token_type_ids", None)
    with torch.no_grad():
        return handle.model(**inputs).logits[0].double().log_softmax(-1).numpy()


@pytest.mark.parametrize("name", ["fp16", "int8", "nf4"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_text_is_labelled_as_if_it_were_alone(runners, kind, name):
    runner, variant = runners(kind), builtin_variant(name)
    handle = runner.handle(variant)
    answers = [alone(handle, text) for text in TEXTS]
    right = [int(np.argmax(nats)) for nats in answers]
    labels = [LABELS[index] for index in right[:-1]] + [(right[-1] + 1) % 3]

    measured = runner.measure(variant, tickets(*labels))

    assert measured.scores["accuracy"].values.tolist() == [1.0] * 4 + [0.0]
    assert [output.text for output in measured.outputs] == [LABELS[index] for index in right]
    asked = [*right[:-1], labels[-1]]
    margins = [
        nats[index] - np.delete(nats, index).max()
        for nats, index in zip(answers, asked, strict=True)
    ]
    assert [one.margin for one in measured.outputs] == pytest.approx(margins, abs=1e-5)
    assert list(measured.first_token_ids) == handle.tokenizer(TEXTS[0])["input_ids"]
    assert len(measured.prompt_fingerprint) == 64


@pytest.mark.parametrize("kind", KINDS)
def test_padding_would_give_the_same_labels(runners, kind):
    handle = runners(kind).handle(REFERENCE)
    model = runners(kind)._pool.get(REFERENCE)
    padded = handle.tokenizer(TEXTS, padding=True, return_tensors="pt")
    padded.pop("token_type_ids", None)
    with torch.no_grad():
        theirs = handle.model(**padded).logits.double().log_softmax(-1).numpy()

    ours = model.classify([model.encode(text, special=True) for text in TEXTS])

    assert ours == pytest.approx(theirs, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["int8", "nf4"])
def test_the_body_is_quantized_and_the_head_is_not(runners, kind, name):
    runner, variant = runners(kind), builtin_variant(name)
    handle = runner.handle(variant)
    weights = runner.weights(variant)
    head = next(m for n, m in handle.model.named_children() if n in {"classifier", "score"})

    assert weights.quantized_fraction == 1.0
    assert all(parameter.is_floating_point() for parameter in head.parameters())
    assert not any("classifier" in key or "score" in key for key, _ in weights.digests)
    assert weights.stored_bytes < runner.weights(REFERENCE).stored_bytes


def test_a_batch_that_does_not_fit_is_halved(runners, monkeypatch):
    model = runners("bert")._pool.get(REFERENCE)
    sequences = [model.encode("the king", special=True)] * 5
    expected = model.classify(sequences)
    forward, sizes = model.model.forward, []

    def scarce(input_ids, **options):
        sizes.append(len(input_ids))
        if len(input_ids) > 2:
            raise torch.OutOfMemoryError
        return forward(input_ids=input_ids, **options)

    monkeypatch.setattr(model.model, "forward", scarce)

    assert model.classify(sequences) == pytest.approx(expected, abs=1e-6)
    assert (sizes, model.pack_limit) == ([5, 2, 2, 1], 2)
    monkeypatch.setattr(model, "pack_limit", None)


def test_a_text_that_does_not_fit_alone_is_an_error(runners, monkeypatch):
    model = runners("bert")._pool.get(REFERENCE)

    def full(**_options):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(model.model, "forward", full)

    with pytest.raises(MeasurementError, match="out of memory on cpu: one text of 4 tokens"):
        model.classify([(1, 5, 6, 2)])


def test_progress_is_told_by_example(runners):
    seen = []
    model = runners("bert")._pool.get(REFERENCE)

    model.classify([(1, 5, 2), (1, 5, 6, 2), (1, 6, 2)], advance=lambda *one: seen.append(one))

    assert seen == [(1, 4), (3, 10)]


def test_batches_are_as_large_as_the_limit_lets_them(runners, monkeypatch):
    model = runners("bert")._pool.get(REFERENCE)
    monkeypatch.setattr(model, "limits", Limits(batch_tokens=6, logits=1))

    assert list(model._batches([(1, 5, 2), (1, 6, 2), (1, 5, 6, 2), (1, 7, 2)])) == [
        [2], [0, 1], [3],
    ]  # fmt: skip


def test_broken_logits_name_the_example(runners, monkeypatch):
    runner = runners("distilbert")
    model = runner._pool.get(REFERENCE)

    def broken(*_sequences, **_options):
        raise NonFiniteLogitsError("the logits are not finite", request=1)

    with torch.no_grad():
        weight = model.model.classifier.weight.clone()
        model.model.classifier.weight.fill_(torch.nan)
        with pytest.raises(NonFiniteLogitsError, match="float32 computation overflowed"):
            model.classify([(1, 5, 2)])
        model.model.classifier.weight.copy_(weight)
    monkeypatch.setattr(model, "classify", broken)
    with pytest.raises(MeasurementError, match=r"^example 2 of tickets: the logits are not finite"):
        runner.measure(REFERENCE, tickets("other", "other", texts=["a", "b"]))


WRONG_USES = {
    "choice": lambda: MultipleChoice.from_examples(
        [{"context": "a", "choices": ["b", "c"], "answer": 0}], name="mc"
    ),
    "generation": lambda: Generation.from_examples([{"prompt": "a", "answer": "b"}], name="gen"),
    "documents": lambda: Documents.from_examples([{"text": "a"}], name="docs"),
    "labels": lambda: tickets(labels=["billing", "other"]),
}


@pytest.mark.parametrize("make_workload", WRONG_USES.values(), ids=WRONG_USES)
def test_a_language_task_on_a_head_is_a_usage_error(runners, make_workload):
    with pytest.raises(UsageError, match=r"asks a language model, and this model has a classif"):
        runners("bert").measure(REFERENCE, make_workload())


def test_a_handle_of_a_head_answers_nothing(runners):
    handle = runners("bert").handle(REFERENCE)

    for ask in (
        lambda: handle.generate("the king"),
        lambda: handle.generate("the king", chat=True),
        lambda: handle.loglikelihood("the", "king"),
    ):
        with pytest.raises(UsageError, match="has a classification head and no language-model"):
            ask()


def test_a_language_model_has_no_labels_of_its_own(checkpoint, specs):
    runner = Runner(Pool(specs, checkpoint("llama"), 0.9), reference=REFERENCE)

    with pytest.raises(UsageError, match="names no labels, and the model has no classification"):
        runner.measure(REFERENCE, tickets())
    runner.close()


@pytest.mark.parametrize("label", ["returns", 3])
def test_a_label_the_model_does_not_have_names_the_example(runners, label):
    with pytest.raises(MeasurementError) as caught:
        runners("bert").measure(REFERENCE, tickets(label, texts=["a"]))
    assert str(caught.value) == (
        f"example 1 of tickets: label '{label}' is none of the model's; expected one of billing, "
        "shipping, other, or an index from 0 to 2"
    )


def test_a_text_longer_than_the_context_is_an_error(runners):
    with pytest.raises(MeasurementError, match=r"^example 1 of tickets: the text take 1"):
        runners("bert").measure(REFERENCE, tickets("other", texts=["x" * 120]))


@pytest.mark.parametrize(
    "extra", [{"problem_type": "multi_label_classification"}, {"id2label": {0: "x"}}]
)
def test_a_head_that_does_not_choose_is_a_usage_error(tmp_path, specs, extra):
    source = save(tmp_path / "model", "bert", **extra)

    with pytest.raises(UsageError, match="expected a model that chooses one of several labels"):
        Pool(specs, source, 0.9).get(REFERENCE)


def test_a_head_that_was_never_trained_is_a_usage_error(tmp_path, specs):
    source = save(tmp_path / "model", "bert")
    body = transformers.BertModel(config("bert")).half()
    body.save_pretrained(source.model)
    settings = config("bert")
    settings.architectures = ["BertForSequenceClassification"]
    settings.save_pretrained(source.model)

    with pytest.raises(UsageError, match="weights are missing from the checkpoint"):
        Pool(specs, source, 0.9).get(REFERENCE)


def test_closing_frees_the_model(tmp_path, specs):
    pool = Pool(specs, save(tmp_path / "model", "bert"), 0.9)
    model = pool.get(REFERENCE)
    assert isinstance(model, ClassificationModel)
    assert model.decode(model.encode("the king", special=False)) == "the king"
    assert model.prefix_token == 1
    pool.close()
    with pytest.raises(MeasurementError, match="was closed"):
        _ = model.model


def test_options_of_language_models_need_labels():
    for options in ({"chat": True}, {"few_shot": [{}]}, {"truncate": "left"}):
        with pytest.raises(UsageError, match="needs labels=, so that a language model is asked"):
            tickets(**options)
    for row, message in (
        ({"messages": [{"role": "user", "content": "a"}], "label": "x"}, "found field 'messages'"),
        ({"text": "a", "label": -1}, "found -1, expected the name of one of the model's"),
    ):
        with pytest.raises(MeasurementError, match=message):
            Classification.from_examples([row], name="t").examples()
    (example,) = tickets("x", texts=["a"], template="T: {text}").examples()
    assert example.item.prompt == "T: a"

"""Documents become windows, and nats of tokens become losses per token, word and byte."""

from __future__ import annotations

import math

import pytest
from fake_model import BOS, FakeModel, run

from pytest_quantcheck import Documents
from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.measure.tasks.common import Job
from pytest_quantcheck.measure.tasks.dispatch import run_task
from pytest_quantcheck.measure.tasks.windows import window_requests
from pytest_quantcheck.stats.scores import metric_level
from pytest_quantcheck.workloads.example import DocumentItem, Example


@pytest.mark.parametrize("length", [1, 7, 8, 9, 3 * 8 + 5])
def test_each_token_of_a_document_is_predicted_once(length):
    tokens = list(range(100, 100 + length))
    requests = list(window_requests(tokens, BOS, 8))
    predicted = [token for one in requests for token in one.tokens[one.first_target :]]
    assert predicted == tokens
    assert requests[0].tokens[0] == BOS
    assert all(len(one.tokens) - 1 <= 8 for one in requests)
    assert all(len(one.tokens) - 1 == 8 for one in requests[1:])
    assert all(one.first_target >= 1 for one in requests)


def documents(*texts, **options):
    rows = [{"text": text, "id": f"doc{n}"} for n, text in enumerate(texts)]
    return Documents.from_examples(rows, name="docs", **options)


def test_documents_are_rows_of_summed_loss_and_tokens():
    model = FakeModel(nats={"a": -0.25, "b": -2.0})
    result = run(documents("aaab", "b" * 60, "a", "b", "ab"), model)
    scores = result.scores["perplexity"]
    assert scores.values.tolist() == [2.75, 120.0, 0.25, 2.0, 2.25]
    assert scores.weights.tolist() == [4, 60, 1, 1, 2]
    assert scores.ids == ("doc0", "doc1", "doc2", "doc3", "doc4")
    assert result.outputs[0].margin == 2.75 / 4
    assert result.tokens == 68
    assert result.first_token_ids == (BOS, *map(ord, "aaab"))


def test_the_same_nats_are_spread_over_words_and_bytes():
    texts = ["ab ba", " aé\n\n b", "a", "bb", "b\u3000a"]
    result = run(documents(*texts), FakeModel(nats={"b": -2.0}))
    tokens, words, utf8 = (
        result.scores[name] for name in ("perplexity", "word_perplexity", "byte_perplexity")
    )
    # As lm-evaluation-harness: len(re.split(r"\s+", text)) and len(text.encode("utf-8")).
    assert words.weights.tolist() == [2, 3, 1, 1, 2]
    assert utf8.weights.tolist() == [5, 8, 1, 2, 5]
    assert tokens.weights.tolist() == [5, 7, 1, 2, 3]
    for scores in (words, utf8):
        assert scores.ids == tokens.ids
        assert scores.values.tolist() == tokens.values.tolist() == [7.0, 8.0, 1.0, 4.0, 4.0]
    assert metric_level(words) == pytest.approx(math.exp(24 / 9))
    assert metric_level(utf8) == pytest.approx(math.exp(24 / 21))


def test_a_word_without_an_end_has_an_infinite_perplexity():
    result = run(documents(*["a" * 1000] * 5))
    assert metric_level(result.scores["word_perplexity"]) == math.inf
    assert metric_level(result.scores["byte_perplexity"]) == pytest.approx(math.e)


def test_windows_are_never_longer_than_the_context():
    model = FakeModel()
    run(documents(*["a" * 70] * 5, window=200), model)
    assert {len(one.tokens) - 1 for one in model.asked} == {50}
    narrow = FakeModel()
    run(documents(*["a" * 70] * 5, window=10), narrow)
    assert {len(one.tokens) - 1 for one in narrow.asked} == {10}


def test_few_documents_are_cut_into_blocks():
    model = FakeModel(nats={"b": -2.0})
    result = run(documents("a" * 4000 + "b" * 1500, "b" * 10), model)
    scores = result.scores["perplexity"]
    assert scores.ids[0] == "doc0#1"
    assert scores.ids[-2:] == ("doc0#21", "doc1#1")
    assert scores.weights.sum() == 5510
    assert set(scores.weights[:-1]) == {261.0, 262.0}
    words = result.scores["word_perplexity"]
    assert words.ids == scores.ids
    assert words.weights == pytest.approx([*scores.weights[:-1] / 5500, 1.0])
    assert scores.values.sum() == 4000 + 2 * 1510
    assert scores.clusters is None
    assert len(result.outputs) == 2
    assert len(result.outputs[0].text) == 200


def test_long_texts_have_longer_blocks():
    result = run(documents("a" * 1_000_000))
    assert set(result.scores["perplexity"].weights) == {300.0, 301.0}


@pytest.mark.parametrize("text", ["", chr(BOS)])
def test_a_document_without_tokens_is_an_error(text):
    example = Example(id="empty", item=DocumentItem(text=text))
    job = Job(loaded=FakeModel(), workload=documents("a"), examples=(example,))
    with pytest.raises(MeasurementError, match="example empty of docs: its text has no token"):
        run_task(job)


def test_broken_logits_name_the_document():
    with pytest.raises(MeasurementError, match=r"^example doc1 of docs: the logits"):
        run(documents("a" * 120, "a" * 60 + "!"), FakeModel(broken="!"))

"""A handle's answers on a real model equal those of the model asked directly."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tiny_models

from pytest_quantcheck import Documents
from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.runner import Runner
from pytest_quantcheck.stats.scores import metric_level

TEXT = "the king and the other thing in the end, that is another end. " * 5


@pytest.fixture(scope="module", params=["fp16", "nf4"])
def runner_and_variant(request, checkpoint, specs):
    runner = Runner(Pool(specs, checkpoint("qwen3"), 0.9), reference=builtin_variant("fp16"))
    yield runner, builtin_variant(request.param)
    runner.close()


def naive_losses(model, tokens, window):
    """Predict every token once, window by window, the last one reaching back."""
    document = [1, *tokens]
    losses = []
    for start in range(0, len(tokens), window):
        stop = min(start + window, len(tokens))
        begin = max(0, stop - window)
        first = start + 1 - begin
        losses.extend(-tiny_models.naive_scores(model, document[begin : stop + 1], first))
    return losses


def test_perplexity_is_that_of_a_naive_loop(runner_and_variant):
    runner, variant = runner_and_variant
    handle = runner.handle(variant)
    tokens = handle.tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    assert len(tokens) > tiny_models.CONTEXT
    losses = naive_losses(handle.model, tokens, tiny_models.CONTEXT)
    assert len(losses) == len(tokens)
    expected = math.exp(np.mean(losses))
    assert handle.perplexity(TEXT) == pytest.approx(expected, rel=1e-4)
    workload = Documents.from_examples([{"text": TEXT}], name="docs")
    measured = runner.measure(variant, workload)
    assert metric_level(measured.scores["perplexity"]) == pytest.approx(expected, rel=1e-4)


def test_log_likelihood_is_that_of_the_continuation_alone(runner_and_variant):
    runner, variant = runner_and_variant
    handle = runner.handle(variant)
    encode = handle.tokenizer
    context = encode("the end of")["input_ids"]
    whole = encode("the end of the king")["input_ids"]
    expected = tiny_models.naive_scores(handle.model, whole, len(context)).sum()
    assert handle.loglikelihood("the end of ", "the king") == pytest.approx(expected, abs=1e-3)


def test_an_answer_is_text_without_its_prompt(runner_and_variant):
    runner, variant = runner_and_variant
    handle = runner.handle(variant)
    one, other = handle.generate(["the end", "a"], max_new_tokens=5)
    assert one == handle.generate("the end", max_new_tokens=5)
    assert other == handle.generate("a", max_new_tokens=5)
    assert not one.startswith("the end")


def test_an_answer_ends_before_a_stop_string(runner_and_variant):
    runner, variant = runner_and_variant
    handle = runner.handle(variant)
    asked = ["the end", "a king", "and then", "nothing"]
    free = handle.generate(asked, max_new_tokens=8)
    stop = max(free, key=len)[1:3]
    held = handle.generate(asked, max_new_tokens=8, stop=stop)
    assert held == [text.partition(stop)[0] for text in free]
    assert held != free
    with pytest.raises(UsageError, match="generate: stop='': expected a non-empty string"):
        handle.generate("the end", stop="")
    with pytest.raises(UsageError, match="generate: max_new_tokens=0: expected a whole number"):
        handle.generate("the end", max_new_tokens=0)


def test_weight_bytes_are_the_runners(runner_and_variant):
    runner, variant = runner_and_variant
    assert runner.handle(variant).weight_bytes == runner.weights(variant).stored_bytes > 0

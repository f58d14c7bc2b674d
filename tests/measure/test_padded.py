"""Padded batches: where packs are impossible, padding behind sequences changes no score."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_models
import torch
import trees
from engines import in_engine

from pytest_quantcheck.measure.engine import probe
from pytest_quantcheck.measure.engine.head import Body
from pytest_quantcheck.measure.engine.padded import plan_padded
from pytest_quantcheck.measure.engine.plan import Limits, Plan

NATS_PER_TOKEN = 1e-4


@pytest.mark.parametrize(
    ("kind", "variant"),
    [
        ("gemma2", "fp16"), ("gemma2", "nf4"), ("mamba", "fp16"), ("qwen3_moe", "fp16"),
        ("gpt2", "bf16"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("limits", [None, Limits(batch_tokens=90, logits=2**26)], ids=str)
def test_padded_batches_score_as_single_sequences_do(load, kind, variant, limits):
    model = in_engine(load(kind, variant), limits, plan=Plan.PADDED)
    asked = trees.few_shot()
    scores = model.score(asked)
    assert model.plan == "padded batches (as asked)"
    for found, one in zip(scores, asked, strict=True):
        expected = tiny_models.naive_scores(model.model, one.tokens, one.first_target)
        assert np.abs(found - expected).max() < NATS_PER_TOKEN


def test_int8_scores_in_padded_batches_are_those_of_packs(load):
    loaded = load("llama_outliers", "int8")
    asked = trees.few_shot()
    in_batches = in_engine(loaded, plan=Plan.PADDED)
    for one, other in zip(in_batches.score(asked), loaded.score(asked), strict=True):
        assert np.abs(one - other).max() < NATS_PER_TOKEN


def test_batches_hold_similar_lengths_within_the_limits():
    asked = trees.few_shot(questions=20)
    batches = list(plan_padded(asked, trees.limits(300, 7)))
    owners = [owner for batch in batches for owner, _ in batch.answers.sizes]
    assert sorted(owners) == list(range(len(asked)))
    assert len(batches) < len({len(one.tokens) for one in asked})
    for batch in batches:
        lengths = [len(asked[owner].tokens) - 1 for owner, _ in batch.answers.sizes]
        assert batch.tokens.shape[1] == max(lengths)
        assert min(lengths) >= 0.75 * max(lengths)
        assert batch.sequences <= 7
        assert batch.sequences == 1 or batch.tokens.size <= 300


def test_batches_do_not_depend_on_the_order_of_requests():
    asked = trees.few_shot()
    one, other = (
        [batch.tokens.tolist() for batch in plan_padded(requests, trees.limits(300))]
        for requests in (asked, asked[::-1])
    )
    assert one == other


def test_requests_with_equal_inputs_are_one_sequence():
    (batch,) = plan_padded([trees.ask((4, 5, 6, last), 2) for last in range(9)], trees.AMPLE)
    assert batch.tokens.tolist() == [[4, 5, 6]]
    assert batch.answers.needed.tolist() == [1, 2]


def test_a_model_that_looks_at_later_tokens_is_not_padded(load, monkeypatch):
    model = load("gemma2", "fp16").model
    states = Body.states

    def looking_ahead(body, inputs, positions=None):
        found = states(body, inputs, positions)
        return found + found.mean(dim=1, keepdim=True)

    with torch.inference_mode():
        split = probe.split_model(model, "cpu")
        monkeypatch.setattr(Body, "states", looking_ahead)
        choice = probe._padded(split, model, "cpu", "softcapping in attention")
    assert choice.text == "batches of equal length (softcapping in attention)"

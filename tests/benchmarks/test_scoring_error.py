"""The gold has the very weights that a variant stores, and errors are counted by request."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from common.requests import Work, make_work
from common.shapes import SHAPES, in_engine, make_model, make_tokenizer, quantize
from scoring_error import error, gold_scores, stored_values


def linears(model):
    return {name: m for name, m in model.named_modules() if isinstance(m, torch.nn.Linear)}


@pytest.mark.parametrize(("variant", "nats"), [("fp16", 1e-4), ("nf4", 1e-4), ("int8", 0.2)])
def test_the_gold_of_a_variant_multiplies_its_stored_weights(variant, nats):
    # LLM.int8 rounds activations too, which the gold does not.
    model = make_model("tiny", torch.float32, "cpu")
    original = {name: layer.weight.clone() for name, layer in linears(model).items()}
    quantize(model, variant, torch.float32)
    work = make_work("hellaswag", 2, SHAPES["tiny"]["vocab_size"])
    engine = in_engine(model, variant, make_tokenizer(SHAPES["tiny"]["vocab_size"]), "cpu")
    found = np.array([float(one.sum(dtype=np.float64)) for one in engine.score(work.requests)])

    gold = make_model("tiny", torch.float32, "cpu")
    stored = {name: stored_values(layer) for name, layer in linears(model).items()}
    for name, layer in linears(gold).items():
        layer.weight.copy_(stored[name])

    changed = [name for name in stored if not torch.equal(stored[name], original[name])]
    assert bool(changed) is (variant != "fp16")
    assert error(found, gold_scores(gold, work), work)["max_nats"] < nats


def test_errors_are_of_requests_and_answers_of_items():
    pair = ([1], [2])
    work = Work(name="choices", items=((pair, pair), (pair, pair)))
    gold = np.array([-1.0, -2.0, -3.0, -4.0])
    found = error(gold + np.array([0, 3, 0, 0]), gold, work)
    assert found == {"max_nats": 3.0, "rms_nats": 1.5, "other_answers": 1}
    windows = Work(name="windows", items=((pair,),))
    assert "other_answers" not in error(gold[:1], gold[:1], windows)

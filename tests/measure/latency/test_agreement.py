"""Two decodings are one model's where their first difference is a near tie."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from pytest_quantcheck.measure.latency.agreement import disagreement
from pytest_quantcheck.measure.latency.protocols import Shape

PROMPT = (7, 8)
OWN, NEAR, FAR = 0, 1, 2
LOGITS = torch.tensor([4.0, 3.9, 0.0, *[1.0] * 7])


class Scripted(torch.nn.Module):
    """Gives the same logits everywhere, in each row times a factor."""

    def __init__(self, factors, dtype):
        super().__init__()
        self.factors, self.embeddings = factors, torch.nn.Embedding(10, 4, dtype=dtype)

    def get_input_embeddings(self):
        return self.embeddings

    def forward(self, input_ids, *, use_cache):
        assert not use_cache
        factors = torch.tensor(self.factors)[:, None, None]
        return SimpleNamespace(logits=(factors * LOGITS).expand(*input_ids.shape, -1))


def judged(*rows, dtype=torch.bfloat16, factors=None):
    """Return what is said of rows that were found where each token should be the model's own."""
    model = Scripted(factors or [1.0] * len(rows), dtype)
    shape = Shape(prompts=(PROMPT,) * len(rows), new_tokens=len(rows[0]), mode="compiled")
    found = torch.tensor(rows)
    return disagreement(model, shape, expected=torch.full_like(found, OWN), found=found)


def test_equal_tokens_agree():
    assert judged([OWN, OWN], [OWN, OWN]) == ""


@pytest.mark.parametrize(("dtype", "is_wrong"), [(torch.float32, True), (torch.bfloat16, False)])
def test_how_near_a_tie_must_be_depends_on_the_dtype(dtype, is_wrong):
    assert bool(judged([OWN, NEAR], dtype=dtype)) is is_wrong


def test_a_row_is_judged_at_its_first_difference_alone():
    assert judged([OWN, NEAR, FAR]) == ""  # after which it continues another text
    assert judged([OWN, FAR, NEAR]).startswith("token 2 of request 1 was another one")


def test_the_farthest_of_several_rows_is_named():
    rows = [OWN, OWN, OWN], [OWN, OWN, NEAR], [OWN, OWN, FAR], [NEAR, OWN, OWN]
    assert judged(*rows).startswith("token 3 of request 3 was another one")


def test_near_is_measured_by_the_spread_of_each_rows_own_logits():
    assert judged([FAR], [NEAR], factors=[0.01, 100.0]).startswith("token 1 of request 1")

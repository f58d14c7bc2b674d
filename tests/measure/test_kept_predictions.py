"""Predictions of the reference are read from a store, and compared with the variant's own head."""

from __future__ import annotations

from dataclasses import replace

import pytest
from archived import compare, scores

from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.measure.engine.causal import CausalModel
from pytest_quantcheck.measure.protocols import ScoreRequest
from pytest_quantcheck.store import codec
from pytest_quantcheck.store.codec import Content

FP16, NF4 = builtin_variant("fp16"), builtin_variant("nf4")


@pytest.fixture
def run_again(checkpoint, specs, tmp_path):
    """A function that compares as a new run would; it returns the pair and what was loaded."""

    def again(kind="llama", **options):
        return compare(tmp_path, checkpoint(kind), specs, variants=(FP16, NF4), **options)

    return again


@pytest.mark.parametrize("kind", ["llama", "gemma2"])
def test_a_second_run_compares_without_the_reference(run_again, kind):
    cold, loaded = run_again(kind)
    assert sorted(loaded) == ["fp16", "nf4"]
    warm, loaded = run_again(kind)
    assert loaded == ["nf4"]
    assert scores(cold) == scores(warm)
    assert any(scores(warm)["variant mean_kl"])
    assert warm.variant.divergences[0].worst == cold.variant.divergences[0].worst


def test_large_states_are_mapped(run_again, monkeypatch):
    cold, _ = run_again()
    monkeypatch.setattr(codec, "_SMALL_BYTES", 0)
    warm, loaded = run_again()
    assert loaded == ["nf4"]
    assert scores(cold) == scores(warm)


def test_another_head_is_not_taken_for_the_references(run_again, tmp_path):
    def nudge(loaded):
        loaded.model.get_output_embeddings().weight.data[5, 7] += 1e-3

    run_again()
    warm, loaded = run_again(change=nudge)
    assert "fp16" in loaded
    for path in tmp_path.glob("*.entry"):
        path.unlink()
    cold, _ = run_again(change=nudge)
    assert scores(warm) == scores(cold)


def test_a_backend_that_cannot_read_them_has_them_made_again(run_again, monkeypatch):
    cold, _ = run_again()
    monkeypatch.delattr(CausalModel, "revived_predictions")
    warm, loaded = run_again()
    assert loaded == ["nf4", "fp16"]
    assert scores(warm) == scores(cold)
    monkeypatch.delattr(CausalModel, "predictions")
    with pytest.raises(UsageError, match="predictions of this backend's models cannot be comp"):
        run_again()


def test_states_of_other_requests_or_of_another_dtype_are_refused(load):
    model = load("llama", "fp16")
    requests = [ScoreRequest(tokens=(1, 5, 6, 7), first_target=1)]
    kept = model.predictions(requests).kept()
    assert model.revived_predictions(requests, kept) is not None
    longer = [replace(requests[0], tokens=(1, 5, 6, 7, 8))]
    assert model.revived_predictions(longer, kept) is None
    other = Content(data={**kept.data, "dtype": "bfloat16"}, arrays=kept.arrays)
    assert model.revived_predictions(requests, other) is None

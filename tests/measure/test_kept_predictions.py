"""Predictions of the reference are read from a store, and compared with the variant's own head."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pytest_quantcheck import Documents
from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.measure.archive import Archive
from pytest_quantcheck.measure.identity import identity_of
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.protocols import ScoreRequest
from pytest_quantcheck.measure.runner import Runner
from pytest_quantcheck.store import codec
from pytest_quantcheck.store.codec import Content
from pytest_quantcheck.store.disk import Store
from pytest_quantcheck.store.files import FileDigests

FP16, NF4 = map(builtin_variant, ("fp16", "nf4"))
TEXTS = ["the thing and the hand", "in the inn, then in the tent. " * 6]


@pytest.fixture
def run_again(checkpoint, specs, tmp_path, monkeypatch):
    """A function that compares as a new run would; it returns the pair and what was loaded."""

    def again(kind="llama", *, reference=FP16, change=None):
        source, loaded, files = checkpoint(kind), [], FileDigests(None)
        pool = Pool(specs, source, 0.9)
        get = pool._load

        def load(variant):
            loaded.append(variant.name)
            return get(variant)

        monkeypatch.setattr(pool, "_load", load)
        archive = Archive(
            Store(tmp_path / "store"),
            identify=lambda one: identity_of(
                one, source, replace(specs[one.backend], version="1"), files=files
            ),
            environment={},
            run=f"{len(list(tmp_path.glob('*/*')))}",
        )
        runner = Runner(pool, reference=reference, archive=archive)
        workload = Documents.from_examples([{"text": text} for text in TEXTS], name="manual")
        runner.compare_predictions([workload])
        if change:
            change(pool.get(NF4))
        found = runner.measure_pair(NF4, workload)
        runner.close()
        return found, loaded

    return again


def scores(pair):
    return {
        (side, name): one.values
        for side, found in (("reference", pair.reference), ("variant", pair.variant))
        for name, one in found.scores.items()
    }


def same(one, other):
    one, other = scores(one), scores(other)
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize("kind", ["llama", "gemma2"])
def test_a_second_run_compares_without_the_reference(run_again, kind):
    cold, loaded = run_again(kind)
    assert sorted(loaded) == ["fp16", "nf4"]
    warm, loaded = run_again(kind)
    assert loaded == ["nf4"]
    assert same(cold, warm)
    assert warm.variant.scores["mean_kl"].values.any()
    assert warm.variant.divergences[0].worst == cold.variant.divergences[0].worst


def test_large_states_are_mapped(run_again, monkeypatch):
    cold, _ = run_again()
    monkeypatch.setattr(codec, "_SMALL_BYTES", 0)
    warm, loaded = run_again()
    assert loaded == ["nf4"]
    assert same(cold, warm)


def test_another_head_is_not_taken_for_the_references(run_again):
    cold, _ = run_again()

    def nudge(loaded):
        loaded.model.get_output_embeddings().weight.data[5, 7] += 1e-3

    nudged, loaded = run_again(change=nudge)
    assert "fp16" in loaded
    assert same(cold, replace(nudged, variant=cold.variant))


def test_states_of_other_requests_are_refused(load):
    model = load("llama", "fp16")
    requests = [ScoreRequest(tokens=(1, 5, 6, 7), first_target=1)]
    kept = model.predictions(requests).kept()
    assert model.revived_predictions(requests, kept) is not None
    longer = [ScoreRequest(tokens=(1, 5, 6, 7, 8), first_target=1)]
    assert model.revived_predictions(longer, kept) is None
    other = Content(data={**kept.data, "dtype": "bfloat16"}, arrays=kept.arrays)
    assert model.revived_predictions(requests, other) is None

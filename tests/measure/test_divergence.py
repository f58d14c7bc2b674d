"""Predictions of a workload's documents compared: who is asked, when, and what comes of it."""

from __future__ import annotations

import math
from dataclasses import replace

import fake_model
import numpy as np
import pytest
import tiny_models
from fake_model import INT8, REFERENCE, FakeModel, make_pool

from pytest_quantcheck import Documents
from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.measure.course import Portion, select_pair
from pytest_quantcheck.measure.divergence import TokenDivergences
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.protocols import NonFiniteLogitsError
from pytest_quantcheck.measure.runner import Runner
from pytest_quantcheck.plugin.slices import restrict
from pytest_quantcheck.plugin.tokens import divergence_record
from pytest_quantcheck.stats.scores import metric_level

TEXTS = [
    "the thing and the hand",
    "a tin",
    "in the inn, then in the tent. " * 6,
    "the end",
    "an ant",
]
LOSSES = ["perplexity", "word_perplexity", "byte_perplexity"]
FP32, NF4 = builtin_variant("fp32"), builtin_variant("nf4")


def documents(texts=TEXTS, **options):
    rows = [{"text": text, "slice": "ab"[i % 2]} for i, text in enumerate(texts)]
    return Documents.from_examples(rows, name="manual", **options)


class Predicted:
    """Every token is a tenth of its place away."""

    def __init__(self, model, requests):
        self.model, self.requests = model, requests
        self.vocabulary = (model.digest == "wide" and 7) or 5
        self.needs_model = model.digest == "whole"

    def kept(self):
        return None

    def divergences(self, variant, advance=None):
        assert variant.requests == self.requests
        if advance is not None:
            advance(len(self.requests), 2)
        if "broken" in self.model.decode(self.requests[-1].tokens):
            raise NonFiniteLogitsError("the logits are not finite", request=len(self.requests) - 1)
        found = []
        for request in self.requests:
            n = len(request.tokens) - request.first_target
            tops = np.array(request.tokens[request.first_target :])
            found.append(
                TokenDivergences(
                    kl=np.arange(n) / 10,
                    delta_p=np.full(n, -0.25),
                    reference_top=tops,
                    variant_top=tops + (np.arange(n) % 4 == 3),
                    reference_p=np.full(n, 0.75),
                    variant_p=np.full(n, 0.5),
                )
            )
        return found


@pytest.fixture
def asked(monkeypatch):
    """Let fake models predict, and return which did, in order."""
    order = []

    def predictions(self, requests, advance=None):
        if advance is not None:
            advance(len(requests), 1)
        order.append((self.digest, self.pack_limit))
        return Predicted(self, list(requests))

    monkeypatch.setattr(FakeModel, "predictions", predictions, raising=False)
    return order


def measured(workload, variant=INT8, **options):
    runner = Runner(make_pool(), reference=REFERENCE, **options)
    runner.compare_predictions([workload])
    return runner.measure_pair(variant, workload)


class Recorder:
    """Progress that is written down, but for the passes that score."""

    def __init__(self):
        self.events = []

    def start(self, variant, workload, total):
        self.events.append((variant, workload, total))

    def advance(self, done, tokens):
        self.events.append((done, tokens))

    def finish(self):
        self.events.append("finish")


def test_each_pass_is_told(asked):
    recorder = Recorder()
    measured(documents(), progress=recorder)

    first = recorder.events.index(("fp16", "manual (predicted)", 5))
    assert recorder.events[first : first + 3] == [
        ("fp16", "manual (predicted)", 5), (5, 1), "finish",
    ]  # fmt: skip
    assert recorder.events[-6:] == [
        ("int8", "manual (predicted)", 5), (5, 1), "finish",
        ("int8", "manual (compared)", 5), (5, 2), "finish",
    ]  # fmt: skip
    assert len(asked) == 2


def test_nothing_is_compared_where_nobody_asks(asked):
    found = Runner(make_pool(), reference=REFERENCE).measure_pair(INT8, documents())
    assert [*found.variant.scores] == LOSSES
    assert (asked, found.variant.divergences, divergence_record(found.variant)) == ([], (), None)


def test_documents_get_a_mean_a_quantile_and_an_agreement(asked):
    found = measured(documents(["abcdefgh", "xyz", "k", "lm", "n"]))
    mean, quantile, same = (
        found.variant.scores[m] for m in ("mean_kl", "p99_kl", "top1_agreement")
    )
    assert [*found.variant.scores] == [*LOSSES, "mean_kl", "p99_kl", "top1_agreement"]
    assert mean.values == pytest.approx([2.8, 0.3, 0, 0.1, 0])
    assert mean.weights.tolist() == same.weights.tolist() == [8, 3, 1, 2, 1]
    assert same.values.tolist() == [6, 3, 1, 2, 1]
    assert quantile.values == pytest.approx([0.7, 0.2, 0, 0.1, 0])
    assert [len(one) for one in quantile.observations] == [8, 3, 1, 2, 1]
    assert metric_level(mean) == pytest.approx(3.2 / 15)
    assert metric_level(quantile) == pytest.approx(0.7)
    reference = {name: metric_level(one) for name, one in found.reference.scores.items()}
    assert [reference[m] for m in ("mean_kl", "p99_kl", "top1_agreement")] == [0, 0, 1]
    assert asked == [("fp16", None), ("int8", None)]


@pytest.mark.usefixtures("asked")
def test_the_tokens_farthest_apart_are_shown_with_what_stands_before_them(monkeypatch):
    found = measured(documents(["abcdefgh", "xyz", "k", "lm", "n"]))
    record = divergence_record(found.variant)
    shown = [(one.example, one.position, one.text, one.kl) for one in record.worst]
    assert shown == [("1", 7, "h", 0.7), ("1", 6, "g", 0.6), ("1", 5, "f", 0.5),
                     ("2", 2, "z", 0.2), ("2", 1, "y", 0.1)]  # fmt: skip
    monkeypatch.setattr(FakeModel, "decode", lambda *_: "")
    bare = divergence_record(measured(documents(["xyz", "k"])).variant).worst[0]
    assert (bare.text, bare.variant_top) == (f"<token {ord('z')}>", f"<token {ord('z')}>")
    worst = record.worst[0]
    assert (worst.context, worst.reference_top, worst.variant_top) == ("abcdefg", "h", "i")
    assert (worst.reference_p, worst.variant_p, worst.delta_p) == (0.75, 0.5, -0.25)
    assert (record.n_tokens, record.max_kl, record.p99_kl) == (15, 0.7, 0.7)
    assert (record.delta_p_mean, record.delta_p_rms) == pytest.approx((-0.25, 0.25))
    assert record.top1_agreement == pytest.approx(13 / 15)
    first = divergence_record(restrict(found.variant, "b"))
    assert {one.example for one in first.worst} <= {"2", "4"}
    assert first.n_tokens == 5


@pytest.mark.usefixtures("asked")
def test_few_documents_are_cut_into_the_blocks_of_their_perplexity(monkeypatch):
    monkeypatch.setattr(fake_model.FakeModel, "context_tokens", 300)
    found = measured(documents(["ab" * 300, "c"])).variant
    blocks = found.scores["perplexity"]
    assert len(blocks.ids) == 3
    for name in ("mean_kl", "p99_kl", "top1_agreement"):
        assert found.scores[name].ids == blocks.ids
        assert found.scores[name].weights.tolist() == blocks.weights.tolist()
    assert sum(map(len, found.scores["p99_kl"].observations)) == 601
    assert len(found.divergences) == 2


@pytest.mark.usefixtures("asked")
def test_parts_and_batches_keep_what_belongs_to_their_documents():
    texts = [chr(97 + i) * (i + 1) for i in range(12)]
    whole = measured(documents(texts))
    portion = Portion(batched_from=2, batch_ends=lambda sizes, _: (5, len(sizes)))
    parts = measured(documents(texts), portion=portion)
    for name, scores in whole.variant.scores.items():
        assert parts.variant.scores[name].ids == scores.ids
        assert parts.variant.scores[name].values == pytest.approx(scores.values)
    found = select_pair(parts, {"3", "12"}).variant
    assert [one.kl.size for one in found.divergences] == [3, 12]
    assert [one.size for one in found.scores["p99_kl"].observations] == [3, 12]


@pytest.mark.parametrize("is_ahead", [True, False])
def test_the_reference_is_asked_once_for_all_variants_and_before_it_leaves(asked, is_ahead):
    fake_model.SIZES.update(dict.fromkeys(("fp16", "int8", "int4"), 300))  # one of them fits
    runner, workload = Runner(make_pool(), reference=REFERENCE), documents()
    runner.compare_predictions([workload])
    if is_ahead:
        runner.prefetch_reference([workload], variant=INT8)
    for variant in (INT8, fake_model.INT4):
        assert runner.measure_pair(variant, workload).variant.divergences
    assert [name for name, _ in asked] == ["fp16", "int8", "int4"]
    assert fake_model.LOADS == ["fp16", "int8", "int4"]


@pytest.mark.usefixtures("asked")
def test_who_asks_later_gets_the_same_scores_and_the_comparison():
    runner, workload = Runner(make_pool(), reference=REFERENCE), documents()
    before = runner.measure_pair(INT8, workload)
    runner.compare_predictions([workload])
    after = runner.measure_pair(INT8, workload)
    assert after.variant.scores["perplexity"] is before.variant.scores["perplexity"]
    assert len(after.variant.divergences) == len(TEXTS)
    runner.compare_predictions([workload])
    assert runner.measure_pair(INT8, workload) is after


@pytest.mark.usefixtures("asked")
def test_other_vocabularies_are_refused():
    with pytest.raises(UsageError, match="predicts 5 tokens and the variant 7, so their"):
        measured(documents(), fake_model.variant("wide"))


def test_a_backend_without_predictions_is_refused():
    with pytest.raises(
        UsageError, match=r"predictions of this backend's models cannot be compared"
    ):
        measured(documents())


@pytest.mark.usefixtures("asked")
def test_logits_that_break_name_their_document():
    with pytest.raises(MeasurementError, match="example 2 of manual: the logits are not finite"):
        measured(documents(["fine", "broken"]))


@pytest.mark.usefixtures("asked")
def test_a_head_that_cannot_be_kept_needs_room_for_both():
    whole = fake_model.variant("whole")
    pool = make_pool()
    runner, workload = Runner(pool, reference=whole), documents()
    runner.compare_predictions([workload])
    assert runner.measure_pair(INT8, workload).variant.divergences
    fake_model.SIZES.update(whole=300, int8=300)
    runner = Runner(make_pool(), reference=whole)
    runner.compare_predictions([workload])
    with pytest.raises(
        UsageError, match=r"reference and int8 .* must be in memory together.* 600 B of"
    ):
        runner.measure_pair(INT8, workload)


def test_kept_and_resident_references_say_the_same_of_a_real_model(checkpoint, specs):
    source = checkpoint("gemma2")
    text = "in the inn, then in the tent. " * 6
    found = {}
    for fraction in (0.9, 1e-15):  # of the memory: with room for both, and for one alone
        pool = Pool(specs, source, fraction)
        runner, workload = Runner(pool, reference=FP32), documents([*TEXTS, text])
        runner.compare_predictions([workload])
        runner.prefetch_reference([workload], variant=NF4)
        found[fraction] = runner.measure_pair(NF4, workload).variant
        assert (FP32 in pool.resident) is (fraction > 0.5)
        runner.close()
    one, other = found.values()
    for name in ("mean_kl", "p99_kl", "top1_agreement", "perplexity"):
        assert np.array_equal(one.scores[name].values, other.scores[name].values)
    assert one.divergences[0].worst == other.divergences[0].worst
    assert metric_level(one.scores["mean_kl"]) > 1e-3
    windows = math.ceil(one.scores["mean_kl"].weights[2] / tiny_models.CONTEXT)
    assert windows > 1


def test_a_reference_is_no_distance_from_itself(checkpoint, specs):
    runner = Runner(Pool(specs, checkpoint("llama"), 0.9), reference=FP32)
    workload = documents()
    runner.compare_predictions([workload])
    found = runner.measure_pair(replace(FP32, name="twin"), workload).variant
    assert not found.scores["mean_kl"].values.any()
    assert all(found.scores[name].is_identical for name in ("mean_kl", "p99_kl", "top1_agreement"))
    assert metric_level(found.scores["top1_agreement"]) == 1
    runner.close()

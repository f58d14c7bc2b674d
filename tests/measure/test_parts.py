"""Parts of a workload: the scores of the whole, and memory that runs out between two of them."""

from __future__ import annotations

from dataclasses import fields

import fake_model
import numpy as np
import pytest
from batched import N, Until, essay, ids_of, in_batches, make_runner
from fake_model import INT8

from pytest_quantcheck import Documents, Generation, MultipleChoice
from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.measure.course import PER_EXAMPLE, Portion
from pytest_quantcheck.measure.measurement import Measurement
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.runner import Runner


def workloads():
    words = [f"the {i} hens in the barn are {i % 7} and the {i * i} others" for i in range(N)]
    rows = [{"context": word[: 6 + i], "choices": [" the", " in", " an"], "answer": i % 3}
            for i, word in enumerate(words)]  # fmt: skip
    prompts = [{"prompt": word[: 5 + i % 11], "answer": "the"} for i, word in enumerate(words)]
    return {
        "choices": MultipleChoice.from_examples(rows, name="choices"),
        "greedy": Generation.from_examples(prompts, name="greedy", max_new_tokens=6),
        "sampled": Generation.from_examples(
            prompts[:20], name="sampled", max_new_tokens=6, temperature=0.8, samples=2
        ),
        "documents": Documents.from_examples([{"text": word} for word in words], name="documents"),
    }


@pytest.mark.parametrize("kind", ["choices", "greedy", "sampled", "documents"])
def test_a_real_model_scores_the_same_in_batches(specs, checkpoint, kind):
    reference, variant = builtin_variant("fp16"), builtin_variant("int8")
    found = {}
    for name, portion in (("whole", Portion()), ("batched", in_batches(N))):
        pool = Pool(specs, checkpoint("llama"), 0.9)
        runner = Runner(pool, reference=reference, portion=portion)
        found[name] = runner.measure_pair(variant, workloads()[kind]).variant
        watcher = Until(12)
        found[f"{name} in part"] = runner.measure_pair(variant, workloads()[kind], watcher).variant
        pool.close()

    whole, batched = found["whole"], found["batched"]
    assert ids_of(batched) == ids_of(whole)
    assert batched.prompt_digests == whole.prompt_digests
    assert batched.first_token_ids == whole.first_token_ids
    assert [one.text for one in batched.outputs] == [one.text for one in whole.outputs]
    assert (batched.tokens, batched.warnings) == (whole.tokens, whole.warnings)
    for metric, scores in whole.scores.items():
        other = batched.scores[metric]
        assert other.ids == scores.ids
        np.testing.assert_allclose(other.values, scores.values, rtol=0, atol=1e-6)
        np.testing.assert_array_equal(other.weights, scores.weights)
        np.testing.assert_array_equal(
            np.unique(other.clusters, return_inverse=True)[1] if other.clusters is not None else 0,
            scores.clusters if scores.clusters is not None else 0,
        )
    part = found["batched in part"]
    assert len(part.examples) == 12
    assert part.tokens < whole.tokens / 2
    assert found["whole in part"].tokens == whole.tokens


class ShortOfMemory(fake_model.FakeModel):
    """Runs out of memory under more than three prompts from some call on."""

    def generate(self, prompts, decoding, **options):
        number = len(self.decodings)
        while number >= self.roomy and (self.pack_limit or len(prompts)) > 3:
            self.pack_limit = (self.pack_limit or len(prompts)) // 2
        self.packs.append((self.digest, len(prompts), self.pack_limit))
        return super().generate(prompts, decoding, **options)


def packs_of(monkeypatch, roomy, *, sizes=None):
    """Return in what packs parts were measured, where memory runs out from the call `roomy` on."""
    fake_model.SIZES.update(sizes or {})
    packs = []

    def load(_backend, variant, source):
        fake_model.LOADS.append(variant.name)
        made = ShortOfMemory(
            device=source.device,
            digest=variant.precision,
            quantized_fraction=float(variant.precision != "fp16"),
            roomy=roomy.get(variant.name, 10**6),
        )
        made.packs = packs
        return made

    monkeypatch.setattr(fake_model.FakeBackend, "load", load)
    runner = make_runner()
    found = runner.measure_pair(INT8, essay(), Until(20))
    return packs, found


def test_from_where_memory_ran_out_both_are_measured_in_the_smaller_packs(monkeypatch):
    packs, found = packs_of(monkeypatch, {"int8": 1})

    assert packs == [
        ("fp16", 8, None),
        ("int8", 8, None),
        ("fp16", 4, None),
        ("int8", 4, 2),
        ("fp16", 4, 2),  # again, as the variant
        ("fp16", 8, 2),
        ("int8", 8, 2),
    ]
    assert found.reference.pack_limit == found.variant.pack_limit == 2
    plain, _ = packs_of(monkeypatch, {})
    assert {limit for *_, limit in plain} == {None}


def test_a_reference_that_left_comes_back_once_for_all_smaller_packs(monkeypatch):
    packs, found = packs_of(monkeypatch, {"int8": 1}, sizes={"fp16": 400, "int8": 400})

    assert fake_model.LOADS == ["fp16", "int8", "fp16", "int8"]
    assert packs == [
        *[("fp16", size, None) for size in (8, 4, 8, 10, 10)],
        ("int8", 8, None),
        ("int8", 4, 2),
        *[("fp16", size, 2) for size in (4, 8, 10, 10)],
        ("int8", 8, 2),
    ]
    assert found.variant.pack_limit == 2
    scores = [
        side.scores["exact_match"].values.tolist() for side in (found.reference, found.variant)
    ]
    _, ample = packs_of(monkeypatch, {})
    assert scores == [
        side.scores["exact_match"].values.tolist() for side in (ample.reference, ample.variant)
    ]


def test_every_field_with_a_value_for_each_example_is_put_together():
    several = {one.name for one in fields(Measurement) if one.type.startswith("tuple")}
    assert several - {"first_token_ids", "doubts"} == set(PER_EXAMPLE)

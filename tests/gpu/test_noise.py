"""A reference measured twice on a CUDA device: other packs change last bits, not the model."""

from __future__ import annotations

import pytest

from pytest_quantcheck import Documents, Generation, MultipleChoice
from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.measure.noise import is_identical, margin_change
from pytest_quantcheck.measure.runner import Runner
from pytest_quantcheck.stats.noise import measure_noise

pytestmark = pytest.mark.gpu

N = 200
CHOICES = MultipleChoice.from_examples(
    [
        {"context": f"the number {i:03}:", "choices": [" an", " er", " in"], "answer": i % 3}
        for i in range(N)
    ],
    name="quiz",
)
ESSAYS = Generation.from_examples(
    [{"prompt": f"the thing {i:03}", "answer": "x"} for i in range(N)],
    name="essay",
    max_new_tokens=8,
)
PAGES = Documents.from_examples(
    [{"text": f"page {i:03} of the manual"} for i in range(N)], name="pages"
)


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
@pytest.mark.parametrize("workload", [CHOICES, ESSAYS, PAGES], ids=lambda one: one.name)
def test_other_packs_change_last_bits_only(checkpoint, pool, workload, precision):
    runner = Runner(pool(checkpoint("llama")), reference=builtin_variant(precision))

    found = runner.noise.measure(workload)

    assert found.variant.pack_limit == 7
    change = margin_change(found)
    assert change is None if workload is ESSAYS else change < 0.05
    for name, scores in found.reference.scores.items():
        noise = measure_noise(
            scores, found.variant.scores[name], alpha=0.05, is_identical=is_identical(found)
        )
        assert noise.n == N
        assert abs(noise.difference) <= noise.most <= 0.25


def test_the_same_packs_give_the_same_bits_again(checkpoint, pool):
    models = pool(checkpoint("llama"))
    one, other = (
        Runner(models, reference=builtin_variant("fp16")).noise.measure(PAGES) for _ in range(2)
    )

    for side in ("reference", "variant"):
        values, again = (
            getattr(found, side).scores["perplexity"].values.tolist() for found in (one, other)
        )
        assert values == again

"""What variants of one checkpoint have in common is made once."""

from __future__ import annotations

from dataclasses import replace

from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.measure.backends import loading
from pytest_quantcheck.measure.backends.bitsandbytes import BitsandbytesBackend
from pytest_quantcheck.measure.backends.transformers import TransformersBackend
from pytest_quantcheck.measure.shared import Shared

FP16, NF4 = builtin_variant("fp16"), builtin_variant("nf4")


def test_variants_of_one_checkpoint_share_its_tokenizer(checkpoint):
    source = replace(checkpoint("llama"), shared=Shared())
    loaded = [TransformersBackend().load(FP16, source), BitsandbytesBackend().load(NF4, source)]
    alone = TransformersBackend().load(FP16, checkpoint("llama"))

    assert loaded[0].tokenizer is loaded[1].tokenizer
    assert alone.tokenizer is not loaded[0].tokenizer
    loaded[0].close()
    assert loaded[1].encode("ab", special=True) == alone.encode("ab", special=True)


def test_a_skeleton_is_made_once_a_checkpoint(checkpoint, monkeypatch):
    made = []
    make = loading._make_skeleton
    monkeypatch.setattr(
        loading, "_make_skeleton", lambda one: (made.append(one.model), make(one))[1]
    )
    shared = Shared()
    llama, gpt2 = (replace(checkpoint(kind), shared=shared) for kind in ("llama", "gpt2"))
    sizes = [
        backend().estimate_bytes(variant, source)
        for source in (llama, gpt2)
        for backend, variant in ((TransformersBackend, FP16), (BitsandbytesBackend, NF4))
    ]
    assert made == [llama.model, gpt2.model]
    assert sizes[0] == TransformersBackend().estimate_bytes(FP16, checkpoint("llama"))
    assert len(set(sizes)) == 4


def test_each_key_is_made_once():
    shared, made = Shared(), []
    asked = [shared.get(key, lambda: made.append(1) or len(made)) for key in "aabab"]
    assert asked == [1, 1, 2, 1, 2]

"""LoRA adapters: beside quantized weights, or merged into them before."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import replace

import numpy as np
import pytest
import tiny_checkpoints
import tiny_models
import torch

from pytest_quantcheck.core.variant import AS_STORED, Variant, builtin_variant
from pytest_quantcheck.errors import BackendUnavailable, UsageError
from pytest_quantcheck.measure.engine.undisturbed import undisturbed
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.protocols import ModelSource, ScoreRequest

pytest.importorskip("peft", reason="builds the adapters")

REQUESTS = [
    ScoreRequest(tokens=(1, 20, 30, 40, 50, 60), first_target=1),
    ScoreRequest(tokens=(1, 70, 8, 9), first_target=2),
]
RANK = 4
LORA = 2 * RANK * ((64 + 64) + (64 + 32) + (128 + 64))
"""Parameters of the adapter: q_proj, v_proj and down_proj of two layers."""


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    return tiny_checkpoints.save_adapter(tmp_path_factory.mktemp("adapters") / "tone")


@pytest.fixture
def load(checkpoint, specs):
    """Return what loads a variant of the tiny model with an adapter."""
    pools = []

    def get(variant, adapter=None, **options):
        source = replace(checkpoint("llama"), adapter=str(adapter) if adapter else None, **options)
        pools.append(Pool(specs, source, 0.9))
        return pools[-1].get(builtin_variant(variant) if isinstance(variant, str) else variant)

    yield get
    for pool in pools:
        pool.close()


def largest_difference(one, other):
    pairs = zip(one.score(REQUESTS), other.score(REQUESTS), strict=True)
    return max(np.abs(a - b).max() for a, b in pairs)


def test_beside_or_merged_an_adapter_is_the_same_function_in_float32(load, adapter):
    beside = load("fp32", adapter)
    merged = load("fp32", adapter, merges_adapter=True)

    assert largest_difference(beside, merged) < 1e-5
    assert largest_difference(beside, load("fp32")) > 0.1


def test_the_function_is_the_one_that_peft_computes(load, checkpoint, adapter):
    import peft
    import transformers

    base = transformers.AutoModelForCausalLM.from_pretrained(
        checkpoint("llama").model, dtype=torch.float32
    )
    with undisturbed():
        model = peft.PeftModel.from_pretrained(base, adapter).eval()

    for request, scores in zip(REQUESTS, load("fp32", adapter).score(REQUESTS), strict=True):
        naive = tiny_models.naive_scores(model, request.tokens, request.first_target)
        assert np.abs(scores - naive).max() < 1e-5


@pytest.mark.parametrize("variant", ["fp16", "int8", "nf4"])
def test_an_adapter_stays_unquantized_beside_the_weights(load, adapter, variant):
    plain, adapted = load(variant), load(variant, adapter)

    assert adapted.weights.stored_bytes == plain.weights.stored_bytes + 2 * LORA
    assert adapted.weights.quantized_fraction == plain.weights.quantized_fraction
    assert adapted.weights.left == plain.weights.left
    assert adapted.weights.digests == plain.weights.digests
    own = {name: t for name, t in adapted.model.named_parameters() if "lora_" in name}
    assert sum(tensor.numel() for tensor in own.values()) == LORA
    assert {tensor.dtype for tensor in own.values()} == {torch.float32}
    assert all(torch.equal(tensor, tensor.half().float()) for tensor in own.values())
    assert largest_difference(plain, adapted) > 0.1


@pytest.mark.parametrize("variant", ["int8", "nf4"])
def test_a_merged_adapter_is_quantized_with_the_weights(load, adapter, variant):
    plain, merged = load(variant), load(variant, adapter, merges_adapter=True)
    beside = load(variant, adapter)

    assert merged.weights.stored_bytes == plain.weights.stored_bytes
    changed = [
        a[0] for a, b in zip(merged.weights.digests, plain.weights.digests, strict=True) if a != b
    ]
    assert {name.split(".")[-2] for name in changed} == {"q_proj", "v_proj", "down_proj"}
    assert not any("lora_" in name for name, _ in merged.model.named_parameters())
    assert 0 < largest_difference(merged, beside) < 1.5


def test_merging_leaves_no_folder_behind(load, adapter, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    loaded = load("nf4", adapter, merges_adapter=True)

    assert loaded.score(REQUESTS)
    assert list(tmp_path.iterdir()) == []


def test_a_quantized_checkpoint_takes_an_adapter_but_none_merged(
    load, checkpoint, adapter, tmp_path
):
    folder = tiny_checkpoints.save_bitsandbytes(
        checkpoint("llama").model, tmp_path / "own", load_in_8bit=True
    )
    variant = Variant(name="own", precision=AS_STORED, backend="checkpoint", checkpoint=str(folder))

    assert largest_difference(load(variant, adapter), load("int8", adapter)) == 0
    with pytest.raises(UsageError, match="quantized already, so that no adapter can be merged"):
        load(variant, adapter, merges_adapter=True)


def test_a_classifier_takes_an_adapter_with_a_head_of_its_own(specs, tmp_path):
    import peft
    import transformers

    config = tiny_models.make_config("llama")
    config.num_labels = 3
    with torch.random.fork_rng(devices=()), undisturbed():
        model = transformers.AutoModelForSequenceClassification.from_config(config).half()
        folder = tiny_models.save(tmp_path / "base", model)
        lora = peft.LoraConfig(r=RANK, target_modules=["q_proj"], task_type="SEQ_CLS")
        wrapped = peft.get_peft_model(model, lora)
        with torch.no_grad():
            for name, tensor in wrapped.named_parameters():
                if "lora_" in name or "modules_to_save" in name:
                    tensor.normal_(std=0.2)
        wrapped.save_pretrained(tmp_path / "tone")
    plain = ModelSource(model=str(folder), device="cpu")
    adapted = replace(plain, adapter=str(tmp_path / "tone"))

    logits = []
    for source in (plain, adapted, replace(adapted, merges_adapter=True)):
        pool = Pool(specs, source, 0.9)
        with torch.no_grad():
            loaded = pool.get(builtin_variant("fp32"))
            logits.append(loaded.model(torch.tensor([[1, 20, 30]])).logits)
        pool.close()

    assert (logits[1] - logits[2]).abs().max() < 1e-5
    assert (logits[0] - logits[1]).abs().max() > 0.1


def spoilt(kind, tmp_path):
    """Return an adapter that is wrong in one way."""
    folder = tmp_path / "tone"
    match kind:
        case "missing":
            return tmp_path / "absent"
        case "empty":
            folder.mkdir()
        case "other":
            tiny_checkpoints.save_adapter(folder, kind="gpt2", target_modules=["c_attn"])
        case "untrained":
            tiny_checkpoints.save_adapter(folder, std=0.0)
        case "lacking":
            tiny_checkpoints.save_adapter(folder)
            edit(folder, target_modules=["q_proj", "v_proj", "down_proj", "o_proj"])
        case "rank":
            tiny_checkpoints.save_adapter(folder)
            edit(folder, r=8)
        case "pickled":
            tiny_checkpoints.save_adapter(folder)
            (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    return folder


def edit(folder, **changes):
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


SPOILT = {
    "missing": "could not be loaded",
    "empty": "could not be loaded",
    "other": "could not be loaded",
    "untrained": "changes nothing: every product of its matrices is 0",
    "lacking": "lacks 4 weights for .*o_proj.*it belongs to another model",
    "rank": "could not be loaded .*size mismatch|could not be loaded",
    "pickled": "only pickled weights .adapter_model.bin.",
}


@pytest.mark.parametrize("merges", [False, True], ids=["beside", "merged"])
@pytest.mark.parametrize("kind", SPOILT)
def test_a_wrong_adapter_is_a_usage_error(load, tmp_path, kind, merges):
    folder = spoilt(kind, tmp_path)

    with pytest.raises(UsageError, match=f"adapter {folder}.*({SPOILT[kind]})"):
        load("fp16", folder, merges_adapter=merges)


def test_an_adapter_that_was_cut_short_is_a_usage_error(load, tmp_path):
    tiny_checkpoints.save_adapter(tmp_path)
    weights = tmp_path / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])

    with pytest.raises(UsageError, match=r"could not be loaded \(SafetensorError"):
        load("fp16", tmp_path)


def test_a_missing_package_is_named(load, adapter, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)

    with pytest.raises(BackendUnavailable, match=r"needs peft.*pip install 'pytest-quantcheck\[p"):
        load("fp16", adapter)


def test_nothing_is_printed(load, adapter, capfd, caplog):
    load("nf4", adapter).score(REQUESTS)
    load("nf4", adapter, merges_adapter=True).score(REQUESTS)

    assert capfd.readouterr() == ("", "")
    assert not caplog.records

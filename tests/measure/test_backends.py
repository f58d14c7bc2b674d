"""Loading checkpoints, and saying what is wrong with those that cannot be."""

from __future__ import annotations

import json
import logging
import random
import shutil
import sys
import warnings
import weakref
from pathlib import Path

import huggingface_hub.utils
import numpy as np
import pytest
import tiny_models
import torch
import transformers

from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.errors import BackendUnavailable, UsageError
from pytest_quantcheck.measure.backends.bitsandbytes import BitsandbytesBackend
from pytest_quantcheck.measure.backends.transformers import TransformersBackend
from pytest_quantcheck.measure.engine.undisturbed import undisturbed
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.protocols import ModelSource, ScoreRequest
from pytest_quantcheck.measure.reference import native_precision
from pytest_quantcheck.workloads.decoding import Decoding

FP16, INT8, NF4 = (builtin_variant(name) for name in ("fp16", "int8", "nf4"))


@pytest.fixture
def folder(checkpoint, tmp_path):
    """Return a copy of a checkpoint that a test may spoil."""
    return Path(shutil.copytree(checkpoint("llama").model, tmp_path / "desk"))


def at(folder, device="cpu"):
    return ModelSource(model=str(folder), device=device)


def edit_config(folder, **changes):
    path = folder / "config.json"
    settings = json.loads(path.read_text()) | changes
    kept = {name: value for name, value in settings.items() if value is not None}
    path.write_text(json.dumps(kept))


@pytest.mark.parametrize(("precision", "dtype"), [("fp16", "float16"), ("bf16", "bfloat16")])
def test_a_cpu_computes_in_float32_on_values_rounded_as_declared(load, precision, dtype):
    loaded = load("llama", precision)
    assert loaded.compute_dtype == "float32"
    weight = loaded.model.model.layers[0].mlp.up_proj.weight
    assert weight.dtype == torch.float32
    assert torch.equal(weight, weight.to(getattr(torch, dtype)).float())
    assert {tensor.dtype for tensor in loaded.model.parameters()} == {torch.float32}


@pytest.mark.parametrize("variant", ["int8", "nf4"])
def test_everything_unquantized_is_rounded_to_16_bits_and_computes_in_float32(load, variant):
    loaded = load("llama", variant)
    head = loaded.model.lm_head.weight
    assert head.dtype == torch.float32
    assert torch.equal(head, head.half().float())
    assert loaded.compute_dtype == "float32"


def test_4_bit_layers_do_not_repack_themselves_for_one_kind_of_cpu(load):
    loaded = load("llama", "nf4")
    loaded.score([ScoreRequest(tokens=(1, 20, 30), first_target=1)])
    layer = loaded.model.model.layers[0].mlp.up_proj
    assert not getattr(layer.weight.quant_state, "packing_format_for_cpu", False)
    assert layer.weight.quant_state.absmax.dtype == torch.float32


def test_the_context_is_the_models_own(load):
    assert load("llama", "fp16").context_tokens == tiny_models.CONTEXT
    assert load("gpt2", "fp16").context_tokens == tiny_models.CONTEXT
    assert load("mamba", "fp16").context_tokens == tiny_models.CONTEXT  # the tokenizer's
    assert load("llama", "fp16").device == "cpu"
    assert load("llama", "fp16").prefix_token == 1
    assert load("llama", "fp16").tokenizer.bos_token_id == 1


@pytest.mark.parametrize("backend", [TransformersBackend(), BitsandbytesBackend()])
def test_the_estimate_is_close_to_what_is_loaded(checkpoint, load, backend):
    variant = FP16 if isinstance(backend, TransformersBackend) else NF4
    estimate = backend.estimate_bytes(variant, checkpoint("llama"))
    held = 0
    for tensor in load("llama", variant.name).model.parameters():
        held += tensor.numel() * tensor.element_size()
        state = getattr(tensor, "quant_state", None)
        held += state.absmax.numel() * 4 if state is not None else 0
    assert estimate == pytest.approx(held, rel=0.02)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"dtype": "bfloat16"}, "bf16"),
        ({"dtype": "float16"}, "fp16"),
        ({"dtype": "float32"}, "fp16"),
        ({"dtype": None}, "fp16"),
        ({"dtype": None, "torch_dtype": "bfloat16"}, "bf16"),
        ({"dtype": None, "text_config": {"dtype": "torch.bfloat16"}}, "bf16"),
    ],
)
def test_the_reference_is_bf16_only_where_the_checkpoint_is(folder, changes, expected):
    edit_config(folder, **changes)
    assert native_precision(at(folder)) == expected


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_a_folder_without_a_configuration_is_a_usage_error(tmp_path, content):
    if content:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(UsageError, match=r"config\.json"):
        native_precision(at(tmp_path))


def test_the_reference_of_a_hub_id_is_read_by_transformers(folder, monkeypatch):
    edit_config(folder, dtype="bfloat16")
    monkeypatch.chdir(folder.parent)
    assert native_precision(at("desk")) == "bf16"


@pytest.mark.parametrize("asked", [FP16, NF4])
def test_a_folder_that_is_not_there_is_a_usage_error(tmp_path, asked):
    backend = BitsandbytesBackend() if asked is NF4 else TransformersBackend()
    with pytest.raises(UsageError, match="nowhere"):
        backend.load(asked, at(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="nowhere: no such folder"):
        backend.estimate_bytes(asked, at(tmp_path / "nowhere"))


def test_a_hub_id_out_of_reach_says_what_was_tried(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    source = at("someone/model-that-is-not-there")
    for ask in (
        lambda: native_precision(source),
        lambda: TransformersBackend().load(FP16, source),
    ):
        with pytest.raises(UsageError) as caught:
            ask()
        assert (
            "'someone/model-that-is-not-there' (taken for a hub id: there is no such folder): its "
            "configuration could not be loaded"
        ) in str(caught.value)
        assert "from_pretrained: OSError" in str(caught.value)


def test_a_quantized_checkpoint_is_refused(folder):
    edit_config(folder, quantization_config={"quant_method": "awq", "bits": 4})
    with pytest.raises(UsageError, match=r"already quantized \(awq\).*loaded as fp16"):
        TransformersBackend().load(FP16, at(folder))


def test_pickled_weights_are_refused(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(UsageError, match=r"only pickled weights .pytorch_model.bin.*safetensors"):
        TransformersBackend().load(FP16, at(folder))


def test_a_checkpoint_without_weights_is_a_usage_error(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(UsageError, match="variant fp16 could not be loaded"):
        TransformersBackend().load(FP16, at(folder))


def test_a_checkpoint_without_a_tokenizer_says_which_files_it_lacks(folder):
    for path in folder.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(UsageError, match=r"its tokenizer could not be .*expected tokenizer\.json"):
        TransformersBackend().load(FP16, at(folder))


def test_weights_that_were_cut_short_are_a_usage_error(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(UsageError, match=r"fp16 could not be loaded .*SafetensorError.*expected a"):
        TransformersBackend().load(FP16, at(folder))


def test_weights_that_are_missing_are_never_random(folder):
    edit_config(folder, num_hidden_layers=3)
    with pytest.raises(
        UsageError, match=r"9 weights are missing .* would be random: model.layers.2"
    ):
        TransformersBackend().load(FP16, at(folder))


def test_an_unknown_architecture_is_a_usage_error(folder):
    edit_config(folder, model_type="t5", architectures=["T5Model"])
    with pytest.raises(UsageError, match="its architecture could not be loaded"):
        TransformersBackend().estimate_bytes(FP16, at(folder))


def test_remote_code_is_mentioned_where_it_was_allowed(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "unheard_of"}')
    source = ModelSource(model=str(tmp_path), device="cpu", trust_remote_code=True)
    with pytest.raises(UsageError, match="could not be loaded with remote code"):
        TransformersBackend().load(FP16, source)


def test_a_model_that_does_not_fit_is_a_usage_error(folder, monkeypatch):
    def exhausted(*_, **__):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", exhausted)
    with pytest.raises(UsageError, match="does not fit into the memory of cpu"):
        TransformersBackend().load(FP16, at(folder))


@pytest.mark.parametrize("package", ["bitsandbytes", "accelerate"])
def test_a_missing_package_is_named(folder, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(BackendUnavailable, match=f"needs {package}.*pip install {package}"):
        BitsandbytesBackend().load(INT8, at(folder))


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
@pytest.mark.parametrize("backend", [TransformersBackend(), BitsandbytesBackend()])
def test_a_missing_device_is_unavailable(folder, backend):
    variant = FP16 if isinstance(backend, TransformersBackend) else INT8
    with pytest.raises(
        BackendUnavailable, match=r"cuda:0 was asked for, and torch .* sees no CUDA"
    ):
        backend.load(variant, at(folder, device="cuda:0"))


def test_int8_of_a_bf16_checkpoint_explains_an_overflow(folder):
    edit_config(folder, dtype="bfloat16")
    loaded = BitsandbytesBackend().load(INT8, at(folder))
    error = loaded.not_finite(0)
    assert ("configuration and no regression" in str(error), error.is_configuration) == (True, True)
    other = BitsandbytesBackend().load(NF4, at(folder)).not_finite(0)
    assert ("configuration" in str(other), other.is_configuration) == (False, False)


def global_state():
    bars = transformers.utils.logging.is_progress_bar_enabled()
    return {
        "levels": {
            name: logging.getLogger(name).level
            for name in ("transformers", "bitsandbytes", "bitsandbytes.autograd._functions", "")
        },
        "bars": (bars, huggingface_hub.utils.are_progress_bars_disabled()),
        "torch": torch.get_rng_state().tolist(),
        "random": random.getstate(),
        "numpy": np.random.get_state()[1].tolist(),  # noqa: NPY002 - the state others use
        "dtype": torch.get_default_dtype(),
        "filters": list(warnings.filters),
        "grad": torch.is_grad_enabled(),
    }


@pytest.mark.parametrize("variant", ["fp16", "int8", "nf4"])
def test_nothing_global_is_changed_and_nothing_is_printed(folder, specs, variant, capfd, caplog):
    import os

    before, environment = global_state(), dict(os.environ)
    pool = Pool(specs, at(folder), 0.9)
    loaded = pool.get(builtin_variant(variant))
    loaded.score([ScoreRequest(tokens=(1, 20, 30, 40), first_target=1)])
    loaded.generate([[1, 20]], Decoding(max_new_tokens=3))
    pool.close()
    assert global_state() == before
    assert dict(os.environ) == environment
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_hidden_progress_bars_stay_hidden():
    transformers.utils.logging.disable_progress_bar()
    try:
        with undisturbed():
            pass
        assert not transformers.utils.logging.is_progress_bar_enabled()
        assert huggingface_hub.utils.are_progress_bars_disabled()
    finally:
        transformers.utils.logging.enable_progress_bar()


@pytest.mark.parametrize("variant", ["fp16", "int8", "nf4"])
def test_a_closed_variant_leaves_memory(folder, specs, variant):
    pool = Pool(specs, at(folder), 0.9)
    loaded = pool.get(builtin_variant(variant))
    loaded.score([ScoreRequest(tokens=(1, 20, 30, 40), first_target=1)])
    loaded.generate([[1, 20]], Decoding(max_new_tokens=3))
    weights = [weakref.ref(weight) for weight in loaded.model.parameters()]
    pool.close()
    assert {weight() for weight in weights} == {None}  # although `loaded` is still held

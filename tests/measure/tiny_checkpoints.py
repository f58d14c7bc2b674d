"""What teams keep beside a model: quantized checkpoints and LoRA adapters, built in code."""

from __future__ import annotations

import warnings
from contextlib import redirect_stderr
from io import StringIO
from typing import TYPE_CHECKING

import tiny_models
import torch
import transformers

if TYPE_CHECKING:
    from pathlib import Path

GROUP = 32
"""Weights that share a scale in a W4A16 checkpoint."""


def _model(source: str | Path, **options: object) -> transformers.PreTrainedModel:
    with warnings.catch_warnings(), redirect_stderr(StringIO()):
        warnings.simplefilter("ignore")
        return transformers.AutoModelForCausalLM.from_pretrained(
            source, dtype=torch.float16, **options
        )


def _save(folder: Path, model: transformers.PreTrainedModel) -> Path:
    with warnings.catch_warnings(), redirect_stderr(StringIO()):
        warnings.simplefilter("ignore")
        return tiny_models.save(folder, model)


def save_bitsandbytes(
    source: str | Path, folder: Path, device: str = "cpu", **options: object
) -> Path:
    """Save a model as transformers saves one that bitsandbytes quantized."""
    config = transformers.BitsAndBytesConfig(**options)
    return _save(folder, _model(source, quantization_config=config, device_map={"": device}))


def save_compressed(source: str | Path, folder: Path, scheme: str) -> Path:
    """Save a model in a format of compressed-tensors, rounded to the nearest step."""
    from compressed_tensors.compressors import ModelCompressor
    from compressed_tensors.quantization import (
        QuantizationConfig,
        apply_quantization_config,
        preset_name_to_scheme,
    )

    model = _model(source)
    plan = preset_name_to_scheme(scheme, ["Linear"])
    if plan.weights.group_size:
        plan.weights.group_size = GROUP
    with redirect_stderr(StringIO()):
        apply_quantization_config(
            model, QuantizationConfig(config_groups={"all": plan}, ignore=["lm_head"])
        )
        for module in model.modules():
            if getattr(module, "quantization_scheme", None) is not None:
                _set_scales(module, plan.weights)
        compressor = ModelCompressor.from_pretrained_model(model)
        compressor.compress_model(model)
    _save(folder, model)
    compressor.update_config(folder)
    return folder


def _set_scales(linear: torch.nn.Module, weights: object) -> None:
    size = weights.group_size or linear.weight.shape[1]
    groups = linear.weight.detach().float().reshape(linear.weight.shape[0], -1, size)
    largest = 448.0 if weights.type == "float" else 2 ** (weights.num_bits - 1) - 1
    linear.weight_scale.data.copy_(groups.abs().amax(-1) / largest)


def save_adapter(
    folder: Path, *, kind: str = "llama", std: float = 0.1, seed: int = 1, **options: object
) -> Path:
    """Save a LoRA adapter with random weights for one of the tiny models."""
    import peft

    chosen = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj", "down_proj"]}
    config = peft.LoraConfig(task_type="CAUSAL_LM", **(chosen | options))
    with warnings.catch_warnings(), torch.random.fork_rng(devices=()):
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        model = peft.get_peft_model(tiny_models.make_model(kind), config)
        with torch.no_grad():
            for name, tensor in model.named_parameters():
                if "lora_" in name:
                    tensor.normal_(std=std)
        model.save_pretrained(folder)
    return folder

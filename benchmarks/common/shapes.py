"""Llama shapes with random weights and outlier channels, made on the device in seconds."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

from pytest_quantcheck.measure.backends.bitsandbytes import compute_in_float32
from pytest_quantcheck.measure.engine.causal import CausalModel
from pytest_quantcheck.measure.engine.llm_int8.layers import separate_sequences
from pytest_quantcheck.measure.engine.loaded import Loaded
from pytest_quantcheck.measure.protocols import Weights

SHAPES: dict[str, dict[str, Any]] = {
    "tiny": {
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "vocab_size": 4096,
    },
    "135m": {  # SmolLM2 135M
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "vocab_size": 49_152,
        "tie_word_embeddings": True,
    },
    "1b": {  # Llama 3.2 1B
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "vocab_size": 128_256,
        "tie_word_embeddings": True,
    },
    "8b": {  # Llama 3.1 8B
        "hidden_size": 4096,
        "intermediate_size": 14_336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 128_256,
    },
}
LONGEST = 8192
BOS = 1
_OUTLIER_CHANNELS = 6
_OUTLIER_SCALE = 16
_THRESHOLD = 6.0


def make_model(shape: str, dtype: torch.dtype, device: str) -> transformers.PreTrainedModel:
    """Return a random model in evaluation mode; the same one for the same arguments."""
    config = transformers.LlamaConfig(
        **SHAPES[shape], max_position_embeddings=LONGEST, attn_implementation="sdpa"
    )
    before = torch.get_default_dtype()
    torch.manual_seed(0)
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            model = transformers.LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(before)
    model = model.eval().requires_grad_(requires_grad=False)
    _raise_outliers(model)
    return model


@torch.no_grad()
def _raise_outliers(model: transformers.PreTrainedModel) -> None:
    """Scale a few channels after each norm and back in the next layers: the same function.

    Random weights have no outlier channels, which trained models have: LLM.int8 would look faster
    than it is.
    """
    generator = torch.Generator().manual_seed(1)
    for layer in model.model.layers:
        attention, mlp = layer.self_attn, layer.mlp
        for norm, following in (
            (layer.input_layernorm, (attention.q_proj, attention.k_proj, attention.v_proj)),
            (layer.post_attention_layernorm, (mlp.gate_proj, mlp.up_proj)),
        ):
            order = torch.randperm(model.config.hidden_size, generator=generator)
            channels = order[:_OUTLIER_CHANNELS].to(norm.weight.device)
            norm.weight[channels] *= _OUTLIER_SCALE
            for linear in following:
                linear.weight[:, channels] /= _OUTLIER_SCALE


def quantize(model: transformers.PreTrainedModel, variant: str, dtype: torch.dtype) -> None:
    """Quantize every linear layer but the head in place, as `from_pretrained` would."""
    if variant == "fp16":
        return
    head = model.get_output_embeddings()
    for parent in list(model.modules()):
        for name, linear in list(parent.named_children()):
            if type(linear) is torch.nn.Linear and linear is not head:
                setattr(parent, name, _quantized(linear, variant, dtype).eval())
    if model.device.type == "cpu":
        compute_in_float32(model)


def _quantized(linear: torch.nn.Linear, variant: str, dtype: torch.dtype) -> torch.nn.Module:
    import bitsandbytes

    sizes = {"bias": False, "device": "meta"}
    if variant == "int8":
        layer = bitsandbytes.nn.Linear8bitLt(
            linear.in_features,
            linear.out_features,
            has_fp16_weights=False,
            threshold=_THRESHOLD,
            **sizes,
        )
        codes, scales, _ = bitsandbytes.functional.int8_vectorwise_quant(linear.weight.half())
        layer.weight = bitsandbytes.nn.Int8Params(
            codes, requires_grad=False, has_fp16_weights=False, CB=codes, SCB=scales
        )
        return layer
    kind = {"quant_type": variant, "compress_statistics": False}
    layer = bitsandbytes.nn.Linear4bit(
        linear.in_features, linear.out_features, compute_dtype=dtype, **kind, **sizes
    )
    layer.weight = bitsandbytes.nn.Params4bit(linear.weight.data, requires_grad=False, **kind).to(
        linear.weight.device
    )
    return layer


def make_tokenizer(vocabulary: int) -> transformers.PreTrainedTokenizerFast:
    """Return a tokenizer of words `t0`, `t1`, …: one for each token."""
    words = {f"t{i}": i for i in range(vocabulary)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="t0"))  # noqa: S106 - a token of text
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="t0",  # noqa: S106 - a token of text
        bos_token=f"t{BOS}",
        eos_token="t2",  # noqa: S106 - the same
        pad_token="t0",  # noqa: S106 - the same
    )


def in_engine(
    model: transformers.PreTrainedModel, variant: str, tokenizer: object, device: str
) -> CausalModel:
    """Return the model as the plugin's backends hand it over."""
    if variant == "int8":
        separate_sequences(model)
    return CausalModel(
        Loaded(
            model=model,
            tokenizer=tokenizer,
            device=device,
            compute_dtype=str(model.get_input_embeddings().weight.dtype).removeprefix("torch."),
            weights=Weights(stored_bytes=0, quantized_fraction=0.0, left=(), digests=()),
        )
    )

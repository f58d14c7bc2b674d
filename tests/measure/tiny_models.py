"""Tiny language models with random weights, built in code and saved as checkpoints."""

from __future__ import annotations

import string
import warnings
from typing import TYPE_CHECKING

import torch
import transformers
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from tokenizers import decoders as token_decoders

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np

UNKNOWN = "<unk>"
SPECIALS = ["<pad>", "<s>", "</s>", UNKNOWN]
SYLLABLES = ["th", "he", "in", "er", " t", " a", "the", "ing", " the", " and", "an", "nd"]
VOCABULARY = 128
CONTEXT = 96
OUTLIER_CHANNELS = [3, 17, 40]


def make_tokenizer(
    *, adds_bos: bool = True, adds_eos: bool = False, has_specials: bool = True
) -> transformers.PreTrainedTokenizerFast:
    """Return a character tokenizer with a few merges."""
    characters = list(string.ascii_letters + string.digits + " .,?!='\n")
    words = SPECIALS + characters
    merges = []
    for syllable in SYLLABLES:
        left = syllable[:-1]
        if left in words:
            merges.append((left, syllable[-1]))
            words.append(syllable)
    vocabulary = {word: index for index, word in enumerate(words)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Replace(Regex("\t"), " ")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r" ?\S+|\s"), "isolated")
    tokenizer.decoder = token_decoders.Fuse()
    template = f"{'<s> ' if adds_bos else ''}$A{' </s>' if adds_eos else ''}"
    if has_specials:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=template, special_tokens=[("<s>", 1), ("</s>", 2)]
        )
    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"} if has_specials else {}
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token=UNKNOWN, model_max_length=CONTEXT, **names
    )


def _common(**extra: object) -> dict[str, object]:
    return {
        "vocab_size": VOCABULARY,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": CONTEXT,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    } | extra


def make_config(kind: str) -> transformers.PreTrainedConfig:
    """Return the configuration of one architecture."""
    match kind:
        case "llama" | "llama_outliers" | "mistral":
            is_sliding = kind == "mistral"
            create = transformers.MistralConfig if is_sliding else transformers.LlamaConfig
            return create(**_common(**{"sliding_window": 24} if is_sliding else {}))
        case "gpt2":
            return transformers.GPT2Config(
                vocab_size=VOCABULARY, n_embd=64, n_layer=2, n_head=4, n_positions=CONTEXT,
                bos_token_id=1, eos_token_id=2,
            )  # fmt: skip
        case "qwen3":
            return transformers.Qwen3Config(**_common(head_dim=16))
        case "gemma2":
            return transformers.Gemma2Config(
                **_common(head_dim=16, query_pre_attn_scalar=16, sliding_window=24)
            )
        case "qwen3_moe":
            return transformers.Qwen3MoeConfig(
                **_common(
                    head_dim=16, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=64
                )
            )
        case "mamba":
            return transformers.MambaConfig(
                vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, state_size=8,
                bos_token_id=1, eos_token_id=2,
            )  # fmt: skip
        case _:
            raise ValueError(kind)


def make_model(
    kind: str, *, seed: int = 0, dtype: torch.dtype = torch.float16
) -> transformers.PreTrainedModel:
    """Return a random model whose next token is far from uniform."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        model = transformers.AutoModelForCausalLM.from_config(make_config(kind))
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim >= 2:
                    parameter.normal_(std=0.12)
            if kind == "llama_outliers":
                _raise_outliers(model)
    model.generation_config.do_sample = False
    return model.to(dtype).eval()


def _raise_outliers(model: transformers.PreTrainedModel) -> None:
    """Scale a few channels by 16 after each norm and back in the next layer: the same function."""
    for layer in model.model.layers:
        attention, mlp = layer.self_attn, layer.mlp
        for norm, following in (
            (layer.input_layernorm, (attention.q_proj, attention.k_proj, attention.v_proj)),
            (layer.post_attention_layernorm, (mlp.gate_proj, mlp.up_proj)),
        ):
            norm.weight[OUTLIER_CHANNELS] *= 16
            for linear in following:
                linear.weight[:, OUTLIER_CHANNELS] /= 16


def naive_scores(
    model: transformers.PreTrainedModel, tokens: Sequence[int], first_target: int
) -> np.ndarray:
    """Score one sequence as directly as can be: all logits, float32 log-softmax, one gather."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logits = model(torch.tensor([tokens[:-1]])).logits[0].float()
    scores = torch.log_softmax(logits, dim=-1)
    targets = torch.tensor(tokens[1:])
    return scores.gather(1, targets[:, None])[first_target - 1 :, 0].numpy()


def save(
    folder: Path,
    model: transformers.PreTrainedModel,
    tokenizer: transformers.PreTrainedTokenizerFast | None = None,
) -> Path:
    """Save a checkpoint as users have them."""
    model.save_pretrained(folder)
    (tokenizer or make_tokenizer()).save_pretrained(folder)
    return folder

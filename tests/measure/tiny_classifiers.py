"""Tiny sequence-classification models with random weights, built in code."""

from __future__ import annotations

import tiny_models
import torch
import transformers

from pytest_quantcheck.measure.protocols import ModelSource

LABELS = {0: "billing", 1: "shipping", 2: "other"}
KINDS = ["bert", "distilbert", "modernbert", "roberta", "llama"]


def config(kind, **extra):
    common = {
        "vocab_size": tiny_models.VOCABULARY, "pad_token_id": 0, "bos_token_id": 1,
        "eos_token_id": 2, "max_position_embeddings": tiny_models.CONTEXT,
        "id2label": LABELS, "label2id": {name: index for index, name in LABELS.items()},
    } | extra  # fmt: skip
    size = {
        "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }  # fmt: skip
    match kind:
        case "distilbert":
            small = {"dim": 64, "hidden_dim": 128, "n_layers": 2, "n_heads": 4}
            return transformers.DistilBertConfig(**common, **small)
        case "modernbert":
            ends = {"cls_token_id": 1, "sep_token_id": 2}
            return transformers.ModernBertConfig(**common, **size, **ends)
    known = {
        "bert": transformers.BertConfig,
        "roberta": transformers.RobertaConfig,
        "llama": transformers.LlamaConfig,
    }
    return known[kind](**common, **size)


def make(kind, **extra):
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        model = transformers.AutoModelForSequenceClassification.from_config(config(kind, **extra))
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim >= 2:
                    parameter.normal_(std=0.12)
    return model.half().eval()


def save(folder, kind, **extra):
    tokenizer = tiny_models.make_tokenizer(adds_eos=kind != "llama")
    tiny_models.save(folder, make(kind, **extra), tokenizer)
    return ModelSource(model=str(folder), device="cpu")

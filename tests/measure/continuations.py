"""Prompts, and how the model's own loop continues them one by one."""

from __future__ import annotations

import warnings

import numpy as np
import torch
import transformers

from pytest_quantcheck.workloads.decoding import Decoding

NEW_TOKENS = 12
GREEDY = Decoding(max_new_tokens=NEW_TOKENS)


def short(new_tokens):
    return Decoding(max_new_tokens=new_tokens)


def tokens_of(continuations):
    return [one.tokens for one in continuations]


def prompts(count=12):
    rng = np.random.default_rng(3)
    found = [rng.integers(4, 80, size=int(rng.integers(2, 9))).tolist() for _ in range(count)]
    return [*found, found[0]]


def one_by_one(model, asked, new_tokens=NEW_TOKENS):
    config = transformers.GenerationConfig(
        do_sample=False, max_new_tokens=new_tokens, eos_token_id=2, pad_token_id=0
    )
    found = []
    for prompt in asked:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ids = torch.tensor([prompt])
            output = model.generate(
                ids, attention_mask=torch.ones_like(ids), generation_config=config
            )
        tokens = output[0, len(prompt) :].tolist()
        found.append(tuple(tokens[: tokens.index(2)] if 2 in tokens else tokens))
    return found

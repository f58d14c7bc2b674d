"""Shapes and models as the tests of servers take them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
import transformers

from pytest_quantcheck.measure.latency.protocols import Shape


def shape(*, mode="eager", new_tokens=24, rows=3, length=9):
    rng = np.random.default_rng(3)
    prompts = rng.integers(4, 80, size=(rows, length)).tolist()
    return Shape(prompts=tuple(map(tuple, prompts)), new_tokens=new_tokens, mode=mode)


def generated(model, asked):
    """What plain generate writes when nothing ends a sequence."""
    config = transformers.GenerationConfig(
        max_new_tokens=asked.new_tokens, min_new_tokens=asked.new_tokens, do_sample=False
    )
    own, model.generation_config = model.generation_config, config
    try:
        inputs = torch.tensor(asked.prompts, device=model.device)
        whole = model.generate(inputs, attention_mask=torch.ones_like(inputs))
    finally:
        model.generation_config = own
    return tuple(tuple(row) for row in whole[:, inputs.shape[1] :].tolist())


def with_graphs(loaded, capture):
    """A model on a device of which `capture` makes the graphs."""
    return replace(loaded._served_model(), capture=capture)


def relaunched(work):
    """Stand in for a graph: the work itself, done once on the way as a capture does."""
    work()
    return work

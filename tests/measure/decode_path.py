"""Log-probabilities of one text by both paths of a model: all tokens at once, and one by one."""

from __future__ import annotations

import torch

TOKENS = 48


@torch.inference_mode()
def difference(model, *, first=8) -> float:
    """Return by how many nats a token's log-probability differs most between both paths.

    The first tokens are read at once, as a prompt is; the others are decoded with the cache.
    """
    vocabulary = model.config.get_text_config().vocab_size
    tokens = torch.tensor([[(7 + 31 * i) % vocabulary for i in range(TOKENS)]]).to(model.device)
    together = model(tokens).logits[0].double().log_softmax(dim=-1)
    output = model(tokens[:, :first], use_cache=True)
    steps = [output.logits[0, -1]]
    for place in range(first, TOKENS - 1):
        output = model(
            tokens[:, place : place + 1], past_key_values=output.past_key_values, use_cache=True
        )
        steps.append(output.logits[0, -1])
    decoded = torch.stack(steps).double().log_softmax(dim=-1)
    targets = tokens[0, first:, None]
    return float(
        (decoded.gather(1, targets) - together[first - 1 : -1].gather(1, targets)).abs().max()
    )

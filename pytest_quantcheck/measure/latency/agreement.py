"""Whether tokens that were decoded in two ways are those of one model."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from pytest_quantcheck.measure.latency.protocols import Shape

_EXACT, _COARSE = 1e-3, 0.1
"""Of the spread of the logits, in float32 and in 16 bits: by how much two kernels may tell a tie
apart. A token from a wrong mask, position or memory trails by several times the spread."""


@torch.inference_mode()
def disagreement(
    model: PreTrainedModel, shape: Shape, *, expected: torch.Tensor, found: torch.Tensor
) -> str:
    """Return where two decodings part for more than a near tie; empty if nowhere.

    Parameters
    ----------
    model : PreTrainedModel
        Says how near tokens were.
    shape : Shape
        The prompts.
    expected, found : (b, n) int64
        New tokens of each row.

    Notes
    -----
    Each row is judged at the first token that differs: what follows continues another text.
    """
    differs = expected != found
    rows = differs.any(dim=1).nonzero()[:, 0]
    if not len(rows):
        return ""
    places = differs[rows].int().argmax(dim=1)
    logits = _logits(model, shape, expected)[rows, places].float()  # (r, v)
    own, other = (
        logits.gather(1, tokens[rows, places][:, None])[:, 0] for tokens in (expected, found)
    )
    is_exact = model.get_input_embeddings().weight.dtype == torch.float32
    behind = (own - other) / logits.std(dim=1)
    worst = int(behind.argmax())
    if behind[worst] <= (_EXACT if is_exact else _COARSE):
        return ""
    return (
        f"token {int(places[worst]) + 1} of request {int(rows[worst]) + 1} was another one than "
        "in launched passes, and no near tie"
    )


def _logits(model: PreTrainedModel, shape: Shape, tokens: torch.Tensor) -> torch.Tensor:
    """Return the logits (b, n, v) that each of the new tokens was chosen by."""
    prompts = torch.tensor(shape.prompts, device=tokens.device)
    whole = torch.cat([prompts, tokens[:, :-1]], dim=1)
    count = tokens.shape[1]
    accepted = inspect.signature(model.forward).parameters
    head = {"logits_to_keep": count} if "logits_to_keep" in accepted else {}
    logits: torch.Tensor = model(input_ids=whole, use_cache=False, **head).logits
    return logits[:, -count:]

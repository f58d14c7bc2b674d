"""Log-likelihoods of scored tokens, from final hidden states."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from pytest_quantcheck.measure.engine.kernels.log_softmax import log_softmax_at
from pytest_quantcheck.measure.engine.upload import upload

if TYPE_CHECKING:
    from pytest_quantcheck.measure.engine.answers import Answers
    from pytest_quantcheck.measure.engine.head import Split

_CPU_ELEMENTS = 2**25
_CUDA_ELEMENTS = 2**26
"""Logits alive at once: 128 MiB in 16 bits. With fewer the head would wait for its weight."""
_TILE_ROWS = 128
"""Of a product on tensor cores: 4,096 to 128,256 features at 661 TFLOP/s for 1,024 rows, and at
586 for 1,046 (H100)."""


def log_likelihoods(split: Split, states: torch.Tensor, answers: Answers) -> torch.Tensor:
    """Return the log-likelihood in nats of each scored token, on the device.

    Parameters
    ----------
    split : Split
        The model.
    states : (t, d) floating
        Final hidden states of each row.
    answers : Answers
        What to read from them.

    Returns
    -------
    (p,) float32
        In the order of `answers.targets`; NaN where logits are NaN, or infinite.
    """
    needed, rows, targets = upload([answers.needed, answers.rows, answers.targets], states.device)
    found = torch.empty(len(targets), device=states.device)
    size = _rows_at_once(split.vocabulary, states.device)
    for first in range(0, len(needed), size):
        last = first + size
        logits = split.head.logits(states.index_select(0, needed[first:last]))
        low, high = np.searchsorted(answers.rows, (first, last)).tolist()
        found[low:high] = log_softmax_at(logits, rows[low:high] - first, targets[low:high])
    return found


def _rows_at_once(vocabulary: int, device: torch.device) -> int:
    if device.type == "cpu":
        return max(1, _CPU_ELEMENTS // vocabulary)
    rows = max(1, _CUDA_ELEMENTS // vocabulary)
    return rows // _TILE_ROWS * _TILE_ROWS or rows

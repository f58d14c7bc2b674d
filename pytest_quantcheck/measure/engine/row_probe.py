"""Whether a model decodes rows of different lengths as it does each alone: tried, not believed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from pytest_quantcheck.measure.engine.layout import Layout, layout_of
from pytest_quantcheck.measure.engine.rows import Rows
from pytest_quantcheck.measure.engine.undisturbed import undisturbed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from transformers import PreTrainedModel

_LENGTHS = (9, 8, 1)
"""Of the prompts that are tried; the middle one is padded beside the first."""
_STEPS = 2
_PLACES = (2, 0, 3)
"""Rows they go into; row 1 stays free."""
_COLUMNS = max(_LENGTHS) + _STEPS
_EXACT, _COARSE, _OF_INT8 = 1e-3, 0.1, 0.3
"""Of the spread of the logits, in float32, in 16 bits, and where activations are rounded to 8 bits
(on a GPU a shape alone moves those by tenths of a nat): a mask or a position that is wrong changes
logits by about the spread itself."""


def checked_layout(model: PreTrainedModel, device: str) -> Layout | None:
    """Return how `model` can be decoded row by row, or None where that gives other logits."""
    layout = layout_of(model)
    if layout is None:
        return None
    is_exact = model.get_input_embeddings().weight.dtype == torch.float32
    tolerance = (_EXACT if is_exact else _COARSE) if layout.pads else _OF_INT8
    try:
        with undisturbed(), torch.inference_mode():
            rows = Rows(model, layout, device, rows=len(_PLACES) + 1, columns=_COLUMNS)
            difference = max(_differences(model, rows, together=layout.pads))
    except torch.OutOfMemoryError:
        raise
    except Exception:  # noqa: BLE001 - whatever it is, this architecture is not as it says
        return None
    if difference > tolerance:
        return None
    return replace(layout, token_bytes=rows.token_bytes)


def _differences(model: PreTrainedModel, rows: Rows, *, together: bool) -> Iterator[float]:
    """Yield by how much the logits after each pass differ from those of single sequences."""
    vocabulary = model.config.get_text_config().vocab_size
    sequences = [
        [(7 + 31 * i + 101 * j) % vocabulary for j in range(length + _STEPS)]
        for i, length in enumerate(_LENGTHS)
    ]
    prompts = [one[:-_STEPS] for one in sequences]
    logits = _begun(rows, prompts, together=together)
    yield _difference(model, prompts, logits)
    for step in range(_STEPS):
        inputs = torch.zeros((2, len(_PLACES) + 1), dtype=torch.int64, device=logits.device)
        for place, one, length in zip(_PLACES, sequences, _LENGTHS, strict=True):
            inputs[:, place] = torch.tensor([one[length + step], length + step])
        logits = rows.step(inputs[0], inputs[1], max(_LENGTHS) + step)
    yield _difference(model, sequences, logits[list(_PLACES)])


def _begun(rows: Rows, prompts: Sequence[list[int]], *, together: bool) -> torch.Tensor:
    if together:
        return rows.begin(_PLACES, prompts)
    pairs = zip(_PLACES, prompts, strict=True)
    return torch.cat([rows.begin([place], [prompt]) for place, prompt in pairs])


def _difference(
    model: PreTrainedModel, sequences: Sequence[list[int]], logits: torch.Tensor
) -> float:
    """Return the largest root mean square of a difference, relative to the spread; never NaN."""
    found = 0.0
    for one, row in zip(sequences, logits, strict=True):
        inputs = torch.tensor([one], device=row.device)
        expected = model(input_ids=inputs, use_cache=False).logits[0, -1].float()
        error = float((row - expected).square().mean().sqrt() / expected.std())
        found = max(found, error if error >= 0 else float("inf"))
    return found

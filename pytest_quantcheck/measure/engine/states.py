"""Final hidden states of scored tokens: what a head makes logits of, and far smaller than these."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pytest_quantcheck.core.quantity import format_count
from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.measure.engine.plan import PackTooLargeError, plan_batches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_quantcheck.measure.engine.head import Body
    from pytest_quantcheck.measure.engine.plan import Batch, Limits
    from pytest_quantcheck.measure.protocols import Advance, ScoreRequest

_AS_BITS = "bfloat16"
"""numpy has no such numbers: they are kept as the 16-bit integers of the same bits."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StateArrays:
    """Final hidden states on the host, bit for bit, in arrays that any file format takes."""

    arrays: tuple[NDArray[Any], ...]
    """Per request (r, d): the state behind each scored token."""
    dtype: str
    """What the bits mean: `float32`, `float16`, or `bfloat16`, kept as uint16."""

    def tensor(self, request: int) -> torch.Tensor:
        """Return the states of one request, (r, d)."""
        found = torch.from_numpy(self.arrays[request])
        return found.view(torch.bfloat16) if self.dtype == _AS_BITS else found


class StateReader:
    """Reads final hidden states.

    Parameters
    ----------
    body : Body
        Of the model.
    device : str
        Where its inputs go.
    vocabulary : int
        Logits of one position: packs are those of scoring.
    limits : Limits
        What one forward pass may take.
    """

    def __init__(self, body: Body, device: str, *, vocabulary: int, limits: Limits) -> None:
        self._body = body
        self._device = device
        self._vocabulary = vocabulary
        self._limits = limits

    def read(
        self,
        requests: Sequence[ScoreRequest],
        advance: Advance | None,
        *,
        sequences: int | None = None,
    ) -> StateArrays:
        """Return the state behind each scored token.

        Parameters
        ----------
        requests : sequence of ScoreRequest
            In any order.
        advance : callable, optional
            Told of every batch.
        sequences : int, optional
            Most sequences of a batch.

        Raises
        ------
        PackTooLargeError
            A batch of several sequences does not fit into the memory of the device.
        MeasurementError
            A single sequence does not fit into the memory of the device.
        """
        found: list[torch.Tensor | None] = [None] * len(requests)
        done = tokens = 0
        limits = replace(self._limits, sequences=sequences)
        for batch in plan_batches(requests, limits, vocabulary=self._vocabulary):
            states = self._attempt(batch)
            if states is None:
                # The failed pass has left the stack here: its tensors can really be given back.
                torch.cuda.empty_cache()
                raise self._too_large(batch)
            for row, unit in zip(states, batch.units, strict=True):
                for owner in unit.requests:
                    request = requests[owner]
                    # A copy: a view would keep the states of all contexts.
                    found[owner] = row[request.first_target - 1 : len(request.tokens) - 1].clone()
                    done += 1
            tokens += batch.tokens
            if advance:
                advance(done, tokens)
        return _arrays([one for one in found if one is not None])

    def _attempt(self, batch: Batch) -> torch.Tensor | None:
        """Return the states of a batch on the host, (b, t, d), or None if memory ran out."""
        try:
            inputs = torch.tensor([unit.inputs for unit in batch.units], device=self._device)
            return self._body.states(inputs).cpu()
        except torch.OutOfMemoryError:
            return None

    def _too_large(self, batch: Batch) -> Exception:
        if len(batch.units) > 1:
            return PackTooLargeError(len(batch.units))
        return MeasurementError(
            f"out of memory on {self._device}: the states of one sequence of "
            f"{format_count(batch.length)} tokens do not fit beside the weights; give a smaller "
            "window, or free memory on the device"
        )


def _arrays(states: Sequence[torch.Tensor]) -> StateArrays:
    dtype = str(states[0].dtype).removeprefix("torch.")
    bits = [one.view(torch.int16) if dtype == _AS_BITS else one for one in states]
    arrays = [one.numpy() for one in bits]
    if dtype == _AS_BITS:
        arrays = [one.view(np.uint16) for one in arrays]
    return StateArrays(arrays=tuple(arrays), dtype=dtype)

"""Log-likelihoods of token sequences: no padding, no mask, float32 at the end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from pytest_quantcheck.core.quantity import format_count
from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.measure.engine.plan import PackTooLargeError, plan_batches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from pytest_quantcheck.measure.engine.forward import Forward
    from pytest_quantcheck.measure.engine.plan import Batch, Limits
    from pytest_quantcheck.measure.protocols import Advance, ScoreRequest

_CHUNK_ELEMENTS = 2**25
"""Logits converted to float32 at once: 128 MiB."""
_SHORTEST_SEGMENT = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pairs:
    """What to read from the logits of a batch."""

    sequences: NDArray[np.int64]
    """(p,) which sequence."""
    positions: NDArray[np.int64]
    """(p,) which position of it."""
    targets: NDArray[np.int64]
    """(p,) which token."""
    sizes: tuple[tuple[int, int], ...]
    """(request, tokens) in order: p is the sum of the tokens."""

    def split(self, values: NDArray[np.float32]) -> list[tuple[int, NDArray[np.float32]]]:
        """Return (request, its values)."""
        stops = np.cumsum([size for _, size in self.sizes])
        return [
            (request, values[stop - size : stop])
            for (request, size), stop in zip(self.sizes, stops, strict=True)
        ]


class Scorer:
    """Scores requests on one model.

    Parameters
    ----------
    forward : Forward
        The model.
    device : str
        Where its inputs go.
    vocabulary : int
        Logits of one position.
    limits : Limits
        What one forward pass may take.
    """

    def __init__(self, forward: Forward, device: str, *, vocabulary: int, limits: Limits) -> None:
        self._forward = forward
        self._device = device
        self._vocabulary = vocabulary
        self._limits = limits

    def score(
        self,
        requests: Sequence[ScoreRequest],
        advance: Advance | None,
        *,
        sequences: int | None = None,
    ) -> list[NDArray[np.float32]]:
        """Return the log-likelihood in nats of each scored token; NaN where logits are not finite.

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
        scores = [np.empty(0, np.float32)] * len(requests)
        done = tokens = 0
        limits = replace(self._limits, sequences=sequences)
        for batch in plan_batches(requests, limits, vocabulary=self._vocabulary):
            for request, values in self._score(batch, requests, self._segment_tokens(batch)):
                scores[request] = values
                done += 1
            tokens += batch.tokens
            if advance:
                advance(done, tokens)
        return scores

    def _segment_tokens(self, batch: Batch) -> int | None:
        """Return how many tokens to forward at a time; None where all fit."""
        rows = batch.length - batch.first_row if self._forward.keeps_rows else batch.length
        fitting = max(self._limits.logits // self._vocabulary, _SHORTEST_SEGMENT)
        too_many = len(batch.units) == 1 and rows > fitting
        return fitting if too_many and self._forward.segments else None

    def _score(
        self, batch: Batch, requests: Sequence[ScoreRequest], segment: int | None
    ) -> list[tuple[int, NDArray[np.float32]]]:
        """Return (request, log-likelihoods); where one sequence is too long, in smaller parts."""
        pairs = _pairs(batch, requests)
        values = self._attempt(batch, pairs, segment)
        if values is not None:
            return pairs.split(values)
        # The failed pass has left the stack here: its tensors can really be given back.
        torch.cuda.empty_cache()
        if len(batch.units) > 1:
            raise PackTooLargeError(len(batch.units))
        smaller = (segment or batch.length) // 2
        if not self._forward.segments or smaller < _SHORTEST_SEGMENT:
            raise MeasurementError(
                f"out of memory on {self._device}: one sequence of {format_count(batch.length)} "
                "tokens does not fit beside the weights; shorten the examples, give a smaller "
                "window, or free memory on the device"
            )
        return self._score(batch, requests, smaller)

    def _attempt(
        self, batch: Batch, pairs: _Pairs, segment: int | None
    ) -> NDArray[np.float32] | None:
        """Return the values of `pairs`, or None if memory ran out."""
        try:
            inputs = torch.tensor([unit.inputs for unit in batch.units], device=self._device)
            values = torch.empty(len(pairs.targets), device=self._device)
            for start, logits in self._parts(batch, inputs, segment):
                _read(logits, start, pairs, values)
            return values.cpu().numpy()
        except torch.OutOfMemoryError:
            return None

    def _parts(
        self, batch: Batch, inputs: torch.Tensor, segment: int | None
    ) -> Iterator[tuple[int, torch.Tensor]]:
        if segment is None:
            rows = batch.length - batch.first_row
            yield batch.first_row, self._forward.logits(inputs, rows)
        else:
            yield from self._forward.segment_logits(inputs, batch.first_row, segment)


def _pairs(batch: Batch, requests: Sequence[ScoreRequest]) -> _Pairs:
    sequences: list[int] = []
    positions: list[int] = []
    targets: list[int] = []
    sizes = []
    for index, unit in enumerate(batch.units):
        for owner in unit.requests:
            request = requests[owner]
            n_targets = len(request.targets)
            sequences.extend([index] * n_targets)
            positions.extend(range(request.first_target - 1, len(request.inputs)))
            targets.extend(request.targets)
            sizes.append((owner, n_targets))
    return _Pairs(
        sequences=np.array(sequences),
        positions=np.array(positions),
        targets=np.array(targets),
        sizes=tuple(sizes),
    )


def _read(logits: torch.Tensor, start: int, pairs: _Pairs, values: torch.Tensor) -> None:
    """Write the log-likelihoods of the pairs that these logits hold into `values`.

    Parameters
    ----------
    logits : (b, rows, v) floating
        Of the positions from `start` on.
    start : int
        First position.
    pairs : _Pairs
        What to read.
    values : (p,) float32, nats
        Filled where a pair's position is held; NaN where the logits of a row are not finite.
    """
    rows = logits.shape[1]
    held = np.flatnonzero((pairs.positions >= start) & (pairs.positions < start + rows))
    row = pairs.sequences[held] * rows + pairs.positions[held] - start
    index, row_index, target = (
        torch.from_numpy(array).to(logits.device) for array in (held, row, pairs.targets[held])
    )
    flat = logits.flatten(0, 1)
    chunk = max(1, _CHUNK_ELEMENTS // flat.shape[1])
    totals = torch.cat([part.float().logsumexp(dim=-1) for part in torch.split(flat, chunk)])[
        row_index
    ]
    found = flat[row_index, target].float() - totals
    values[index] = torch.where(totals.isfinite(), found, torch.nan)

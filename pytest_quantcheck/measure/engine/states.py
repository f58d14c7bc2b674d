"""Final hidden states of scored tokens: what a head makes logits of, and far smaller than these."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pytest_quantcheck.core.quantity import format_count
from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.measure.engine.packs import plan_packs
from pytest_quantcheck.measure.engine.plan import PackTooLargeError, plan_batches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from pytest_quantcheck.measure.engine.head import Body
    from pytest_quantcheck.measure.engine.packs import Pack
    from pytest_quantcheck.measure.engine.plan import Batch, Limits
    from pytest_quantcheck.measure.engine.tree import PackForward
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
        array = self.arrays[request]
        # Arrays of a store are read-only, and torch knows no such tensors.
        found = torch.from_numpy(array if array.flags.writeable else array.copy())
        return found.view(torch.bfloat16) if self.dtype == _AS_BITS else found


class StateReader:
    """Reads final hidden states, in packs where the model can be forwarded so.

    Parameters
    ----------
    body : Body
        Of the model.
    device : str
        Where its inputs go.
    packs : PackForward or None
        Forwards packs; None where sequences go in batches of equal length.
    vocabulary : int
        Logits of one position: batches are those of scoring.
    limits : Limits
        What one forward pass may take.
    """

    def __init__(
        self,
        body: Body,
        device: str,
        *,
        packs: PackForward | None,
        vocabulary: int,
        limits: Limits,
    ) -> None:
        self._body = body
        self._device = device
        self._packs = packs
        self._vocabulary = vocabulary
        self._limits = limits

    def read(
        self,
        requests: Sequence[ScoreRequest],
        *,
        sequences: int | None = None,
        advance: Advance | None = None,
    ) -> StateArrays:
        """Return the state behind each scored token.

        Parameters
        ----------
        requests : sequence of ScoreRequest
            In any order.
        sequences : int, optional
            Most sequences of a pack or batch.
        advance : callable, optional
            Told of the requests and the scored tokens read so far.

        Raises
        ------
        PackTooLargeError
            Several sequences do not fit into the memory of the device together.
        MeasurementError
            A single sequence does not fit into the memory of the device.
        """
        limits = replace(self._limits, sequences=sequences)
        found: dict[int, torch.Tensor] = {}
        n_tokens = 0
        for index, states in self._read(requests, limits):
            found[index] = states
            n_tokens += len(states)
            if advance is not None:
                advance(len(found), n_tokens)
        return _arrays([found[index] for index in range(len(requests))])

    def _read(
        self, requests: Sequence[ScoreRequest], limits: Limits
    ) -> Iterator[tuple[int, torch.Tensor]]:
        """Yield (request, its states), in packs as far as that is possible."""
        alone = dict.fromkeys(range(len(requests)))
        if self._packs is not None:
            for index, states in self._from_packs(self._packs, requests, limits):
                alone.pop(index, None)
                yield index, states
        left = [*alone]
        for index, states in self._from_batches([requests[one] for one in left], limits):
            yield left[index], states

    def _from_packs(
        self, packs: PackForward, requests: Sequence[ScoreRequest], limits: Limits
    ) -> Iterator[tuple[int, torch.Tensor]]:
        """Yield (request, its states), but of those that must go alone."""
        fits = [
            index
            for index, one in enumerate(requests)
            if packs.longest is None or len(one.tokens) <= packs.longest
        ]
        with packs.ready():
            for pack in plan_packs([requests[index] for index in fits], limits):
                states = self._attempt(partial(_of_pack, packs, pack))
                if states is None and pack.sequences > 1:
                    raise PackTooLargeError(pack.sequences)
                if states is not None:
                    sizes = pack.answers.sizes
                    parts = torch.split(states, [size for _, size in sizes])
                    for (owner, _), part in zip(sizes, parts, strict=True):
                        yield fits[owner], part.clone()

    def _from_batches(
        self, requests: Sequence[ScoreRequest], limits: Limits
    ) -> Iterator[tuple[int, torch.Tensor]]:
        """Yield (request, its states)."""
        for batch in plan_batches(requests, limits, vocabulary=self._vocabulary):
            states = self._attempt(partial(self._of_batch, batch))
            if states is None:
                raise self._too_large(batch)
            for row, unit in zip(states, batch.units, strict=True):
                for owner in unit.requests:
                    request = requests[owner]
                    # A copy: a view would keep the states of all contexts.
                    yield owner, row[request.first_target - 1 : len(request.inputs)].clone()

    def _attempt(self, work: Callable[[], torch.Tensor]) -> torch.Tensor | None:
        """Return states on the host, or None if memory ran out."""
        with suppress(torch.OutOfMemoryError):
            return work().cpu()
        # The failed pass has left the stack here: its tensors can really be given back.
        torch.cuda.empty_cache()
        return None

    def _of_batch(self, batch: Batch) -> torch.Tensor:
        """Return the states of a batch, (b, t, d)."""
        inputs = torch.tensor([unit.inputs for unit in batch.units], device=self._device)
        return self._body.states(inputs)

    def _too_large(self, batch: Batch) -> Exception:
        if len(batch.units) > 1:
            return PackTooLargeError(len(batch.units))
        return MeasurementError(
            f"out of memory on {self._device}: the states of one sequence of "
            f"{format_count(batch.length)} tokens do not fit beside the weights; give a smaller "
            "window, or free memory on the device"
        )


def _of_pack(packs: PackForward, pack: Pack) -> torch.Tensor:
    """Return the states behind the scored tokens of a pack, in the order of its sizes, (p, d)."""
    states = packs.states(pack)
    rows = pack.answers.in_order
    return states.index_select(0, torch.from_numpy(rows).to(states.device))


def _arrays(states: Sequence[torch.Tensor]) -> StateArrays:
    dtype = str(states[0].dtype).removeprefix("torch.")
    bits = [one.view(torch.int16) if dtype == _AS_BITS else one for one in states]
    arrays = [one.numpy() for one in bits]
    if dtype == _AS_BITS:
        arrays = [one.view(np.uint16) for one in arrays]
    return StateArrays(arrays=tuple(arrays), dtype=dtype)

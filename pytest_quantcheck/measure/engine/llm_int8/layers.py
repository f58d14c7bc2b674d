"""LLM.int8 on several sequences at once, each as if it were alone."""

from __future__ import annotations

import weakref
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from pytest_quantcheck.measure.engine.llm_int8.codes import quantize
from pytest_quantcheck.measure.engine.llm_int8.products import Weight, products_for
from pytest_quantcheck.measure.engine.segments import batch_segments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from transformers import PreTrainedModel

    from pytest_quantcheck.measure.engine.llm_int8.codes import Codes
    from pytest_quantcheck.measure.engine.llm_int8.rooms import Rooms
    from pytest_quantcheck.measure.engine.segments import Segments

_BATCH_DIMENSIONS = 3


class _Pack:
    """A pack in a forward pass, and the codes of the inputs that a layer took last.

    Query, key and value of an attention take the same inputs, as do the first two products of
    many MLPs: they are quantized once.
    """

    def __init__(self, segments: Segments, rooms: Rooms | None = None) -> None:
        self.segments = segments
        self._rooms = rooms
        self._key: tuple[str, float] | None = None
        self._inputs: weakref.ref[torch.Tensor] | None = None
        self._codes: Codes | None = None
        self._found: list[tuple[torch.Tensor, int]] = []
        """Outlier columns found, and the room they were given, where nobody has looked yet."""
        self._counted = 0

    def codes(self, inputs: torch.Tensor, name: str, threshold: float) -> Codes:
        """Return the codes of a layer's inputs, which layers of one parent may have in common."""
        known = self._inputs and self._inputs()
        key = (name.rpartition(".")[0], threshold)
        if self._codes is None or known is not inputs or self._key != key:
            self._codes = None  # its memory is free for those that come
            self._codes = self._quantize(inputs, name, threshold)
            self._key, self._inputs = key, weakref.ref(inputs)
        return self._codes

    def _quantize(self, inputs: torch.Tensor, name: str, threshold: float) -> Codes:
        rooms, rows = self._rooms, len(self.segments.rows)
        room = rooms.of(name, rows) if rooms else None
        found = quantize(inputs, self.segments, threshold, room)
        if isinstance(found.found, torch.Tensor):
            self._found.append((found.found, room or 0))
        elif rooms:
            width = inputs.shape[-1]
            rooms.learn(name, found.found, width=width, is_near=found.is_near)
            self._counted += 1
        return found

    def end(self) -> Callable[[], bool]:
        """Return what waits for the pass and says whether all outlier columns had room.

        Many may wait for the end of a call: it holds one number for each layer.
        """
        if self._rooms and self._counted and not self._found:
            self._rooms.counted(len(self.segments.rows))
        if not self._rooms or not self._found:
            return lambda: True
        device = self._found[0][0].device
        counts = torch.stack([count.to(device, non_blocking=True) for count, _ in self._found])
        return partial(_had_room, counts, [room for _, room in self._found], self._rooms)


def _had_room(counts: torch.Tensor, given: Sequence[int], rooms: Rooms) -> bool:
    """Return whether no count is above the room it was given; else the next pass is counted."""
    had = all(count <= room for count, room in zip(counts.tolist(), given, strict=True))
    if not had:
        rooms.forget()
    return had


_PACK: ContextVar[_Pack | None] = ContextVar("_PACK", default=None)


@contextmanager
def _current(pack: _Pack) -> Iterator[None]:
    token = _PACK.set(pack)
    try:
        yield
    finally:
        _PACK.reset(token)


@contextmanager
def packed(segments: Segments) -> Iterator[None]:
    """Tell the LLM.int8 layers of any model what the rows of a forward pass are.

    Layers whose inputs have another number of rows are not concerned.
    """
    with _current(_Pack(segments)):
        yield


def run_packed(
    work: Callable[[], torch.Tensor],
    segments: Segments,
    rooms: Rooms,
    later: list[Callable[[], bool]] | None = None,
) -> torch.Tensor:
    """Return what a forward pass gives.

    Parameters
    ----------
    work : callable
        The pass. It is run again if a layer's inputs hold more outlier columns than those before
        gave reason to expect.
    segments : Segments
        What the rows of the pass are.
    rooms : Rooms
        What is known of the model, and learns.
    later : list, optional
        Gets what waits for the device and says whether the result holds; if not, the pass is to
        be run again by the caller. By default both is done here.

    Notes
    -----
    The result is that of `packed`, to the bit: how much room a layer has changes nothing.
    """
    pack = _Pack(segments, rooms)
    with _current(pack):
        found = work()
    had_room = pack.end()
    if later is not None:
        later.append(had_room)
        return found
    if had_room():
        return found
    del found
    return run_packed(work, segments, rooms)


def is_llm_int8(model: PreTrainedModel) -> bool:
    """Return whether any layer of `model` multiplies outlier columns in 16 bits."""
    states = (getattr(module, "state", None) for module in model.modules())
    return any(getattr(state, "threshold", 0.0) for state in states)


def has_int8_layers(model: PreTrainedModel) -> bool:
    """Return whether any layer of `model` is one of LLM.int8, with outlier columns or without."""
    return any(type(module).__name__ == "Linear8bitLt" for module in model.modules())


def separate_sequences(model: PreTrainedModel) -> None:
    """Make every LLM.int8 layer of `model` treat sequences separately, in batches and in packs.

    A column of the inputs in which any row of the batch holds an outlier is multiplied in 16
    bits, for all rows (Dettmers et al., 2022, arXiv:2208.07339, section 3). So the score of a
    sequence depends on the sequences beside it: by 6 nats for one choice of a 135M model. Here
    the outlier columns of a sequence are those of its own rows, as when it is scored alone; the
    arithmetic is that of bitsandbytes, to the bit. In a pack (see `packed`) they are, for
    each row, those of the rows before it in its sequence, and its own: as if the sequence ended
    there. So a score depends neither on pack mates nor on where sequences part.
    """
    from bitsandbytes.nn.modules import Linear8bitLt

    for name, module in model.named_modules():
        if isinstance(module, Linear8bitLt):
            module.__dict__["forward"] = partial(_forward, module, name)


@contextmanager
def as_published(model: PreTrainedModel) -> Iterator[None]:
    """Let LLM.int8 layers multiply as bitsandbytes has them: what they cost elsewhere is timed."""
    own = {
        module: module.__dict__.pop("forward")
        for module in model.modules()
        if getattr(module.__dict__.get("forward"), "func", None) is _forward
    }
    try:
        yield
    finally:
        for module, forward in own.items():
            module.__dict__["forward"] = forward


def _forward(layer: Any, name: str, inputs: torch.Tensor) -> torch.Tensor:  # noqa: ANN401 - bitsandbytes has no types
    """Return the layer's outputs; a single sequence goes the usual way."""
    pack = _pack(inputs) if layer.state.threshold else None
    if pack is None:
        usual: torch.Tensor = type(layer).forward(layer, inputs)
        return usual
    if layer.weight.CB is not None:
        layer.init_8bit_state()
    found = pack.codes(inputs, name, layer.state.threshold)
    return _multiply(layer, found, inputs.dtype).view(*inputs.shape[:-1], -1)


def _pack(inputs: torch.Tensor) -> _Pack | None:
    """Return which rows belong together; None where all do."""
    pack = _PACK.get()
    if pack is not None and inputs.shape[:-1].numel() == len(pack.segments.rows):
        return pack
    if inputs.ndim != _BATCH_DIMENSIONS or len(inputs) == 1:
        return None
    count, length = inputs.shape[:2]
    return _Pack(batch_segments(count, length, inputs.device))


def _multiply(layer: Any, found: Codes, dtype: torch.dtype) -> torch.Tensor:  # noqa: ANN401 - bitsandbytes has no types
    """Return (t, n): outlier columns of each row in 16 bits, the rest in 8, and the bias."""
    weight = Weight(
        codes=layer.state.CB,
        scales=layer.state.SCB,
        bias=layer.bias if layer.bias is None else layer.bias.to(dtype),
    )
    products = products_for(weight, dtype, len(found.codes))
    product = products.product(found.codes, found.scales, weight)
    for kept in found.kept:
        product.addmm_(kept.values, products.columns(weight, kept.columns))
    return product

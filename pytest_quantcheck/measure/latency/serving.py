"""A loaded model that serves one shape, in the mode asked for or with the reason why not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeVar

import torch

from pytest_quantcheck.core.quantity import format_count
from pytest_quantcheck.errors import MeasurementError, UsageError, first_line
from pytest_quantcheck.measure.engine.loaded import library_errors, opened
from pytest_quantcheck.measure.engine.spread import n_devices
from pytest_quantcheck.measure.engine.undisturbed import undisturbed
from pytest_quantcheck.measure.latency.agreement import disagreement
from pytest_quantcheck.measure.latency.compiled import Compiled, obstacle
from pytest_quantcheck.measure.latency.device_time import (
    compiled_device_seconds,
    eager_device_seconds,
)
from pytest_quantcheck.measure.latency.eager import Eager
from pytest_quantcheck.measure.latency.timers import Stopwatch
from pytest_quantcheck.workloads.latency import MODES

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import PreTrainedModel

    from pytest_quantcheck.core.latency import RunTimes
    from pytest_quantcheck.measure.engine.layout import Layout
    from pytest_quantcheck.measure.latency.compiled import Capture
    from pytest_quantcheck.measure.latency.protocols import Shape

_FoundT = TypeVar("_FoundT")
_COMPARED_TOKENS = 16
"""New tokens of each row in which graphs must agree with launched passes."""


class Way(Protocol):
    """How a shape is served."""

    mode: str

    def serve(self, first_token: Callable[[], None]) -> torch.Tensor:
        """Return the new tokens (b, n); tell when the first of each row is there."""
        ...

    def cache_bytes(self) -> int:
        """Return what is kept of the sequences at the end."""
        ...

    def close(self) -> None:
        """Give back what it took."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """What must be known of a model to serve it."""

    model: PreTrainedModel
    """A causal language model in evaluation mode."""
    device: str
    layout: Callable[[], Layout | None]
    """Finds out how it is decoded with a static cache."""
    context_tokens: int
    """Longest sequence it takes."""
    capture: Capture | None
    """Makes CUDA graphs; None where there are none."""


class ModelServer:
    """A `Server` of a model of transformers.

    Parameters
    ----------
    way : Way
        How it serves.
    shape : Shape
        What it serves.
    device : str
        Which device is waited for.
    fallback : str
        Why `way` is not in the mode that `shape` asks for.
    device_seconds : float, optional
        How long the device needs for one batch.
    """

    def __init__(
        self,
        way: Way,
        shape: Shape,
        device: str,
        *,
        fallback: str = "",
        device_seconds: float | None = None,
    ) -> None:
        self.mode = way.mode
        self.fallback = fallback
        self.tokens: tuple[tuple[int, ...], ...] = ()
        """What each row got in the last run."""
        self._way: Way | None = way
        self._shape = shape
        self._device = device
        self._device_seconds = device_seconds

    def run(self) -> RunTimes:
        """Serve the shape once; the device is idle at each stamp of the clock."""
        way = opened(self._way)
        watch = Stopwatch(self._device)

        def request() -> torch.Tensor:
            watch.stamp()
            tokens = way.serve(watch.stamp)
            watch.stamp()
            return tokens

        found = in_memory(request, self._shape, self._device)
        self.tokens = tuple(tuple(row) for row in found.tolist())
        return watch.times(
            new_tokens=self._shape.new_tokens,
            batch_size=self._shape.batch_size,
            device_seconds=self._device_seconds,
        )

    def close(self) -> None:
        """Give back caches and graphs."""
        if self._way is not None:
            self._way.close()
            self._way = None


def open_server(served: ServedModel, shape: Shape) -> ModelServer:
    """Return a server of a shape.

    Parameters
    ----------
    served : ServedModel
        The model.
    shape : Shape
        What is served.

    Raises
    ------
    UsageError
        The shape is none that the model can serve.
    MeasurementError
        It does not fit into the memory of the device, or the model breaks on it.
    """
    check_shape(served, shape)
    way, fallback = chosen_way(served, shape)
    device_seconds = _device_seconds(served, shape, way)
    return ModelServer(way, shape, served.device, fallback=fallback, device_seconds=device_seconds)


def chosen_way(served: ServedModel, shape: Shape) -> tuple[Way, str]:
    """Return how a shape is served, and why not in the mode asked for; empty if it is."""
    if shape.mode == Eager.mode:
        return Eager(served.model, served.device, shape), ""
    found = in_memory(lambda: _compiled(served, shape), shape, served.device)
    if isinstance(found, str):
        return Eager(served.model, served.device, shape), found
    return found, ""


def made_way(served: ServedModel, shape: Shape, mode: str) -> Eager | Compiled:
    """Return how a shape is served in a mode that was found to be possible."""
    layout = served.layout() if mode == Compiled.mode else None
    if layout is None or served.capture is None:
        return Eager(served.model, served.device, shape)
    return Compiled(served.model, layout, served.device, shape, capture=served.capture)


def _compiled(served: ServedModel, shape: Shape) -> Way | str:
    """Return graphs that write what launched passes do, or what is against it."""
    if served.capture is None:
        return f"CUDA graphs need a CUDA device, and this is {served.device}"
    reason = obstacle(served.model, served.layout())
    if reason:
        return reason
    try:
        way = made_way(served, shape, Compiled.mode)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        return f"a pass could not be captured as a CUDA graph ({first_line(error)})"
    few = replace(shape, new_tokens=min(shape.new_tokens, _COMPARED_TOKENS))
    expected = Eager(served.model, served.device, few).serve(lambda: None)
    found = way.serve(lambda: None)[:, : few.new_tokens]
    wrong = disagreement(served.model, few, expected=expected, found=found)
    if wrong:
        way.close()
    return wrong or way


def check_shape(served: ServedModel, shape: Shape) -> None:
    """Check that a model can serve a shape.

    Raises
    ------
    UsageError
        It cannot.
    """
    lengths = {len(prompt) for prompt in shape.prompts}
    if shape.mode not in MODES:
        raise UsageError(f"mode {shape.mode!r}: expected {' or '.join(map(repr, MODES))}")
    if len(lengths) != 1 or lengths == {0} or shape.new_tokens < 1:
        raise UsageError(
            f"prompts of {sorted(lengths)} tokens with {shape.new_tokens} new ones: expected "
            "prompts of one length, at least one token, and at least one new token"
        )
    total = lengths.pop() + shape.new_tokens
    if total > served.context_tokens:
        raise UsageError(
            f"prompts and answers of {format_count(total)} tokens: the model takes "
            f"{format_count(served.context_tokens)}; shorten the prompts or lower new_tokens"
        )
    vocabulary = served.model.config.get_text_config().vocab_size
    if not all(0 <= token < vocabulary for prompt in shape.prompts for token in prompt):
        raise UsageError(f"prompts hold tokens outside the vocabulary of {vocabulary}")


def in_memory(work: Callable[[], _FoundT], shape: Shape, device: str) -> _FoundT:
    """Do work on a model without a trace; say what to do where memory runs out.

    Raises
    ------
    MeasurementError
        It ran out, or the model broke.
    """
    try:
        with library_errors("serving"), undisturbed():
            return work()
    except MeasurementError as error:
        if not isinstance(error.__cause__, torch.OutOfMemoryError):
            raise
    # The failed pass has left the stack here: its tensors can really be given back.
    torch.cuda.empty_cache()
    raise MeasurementError(
        f"out of memory on {device}: {format_count(shape.batch_size)} requests of "
        f"{format_count(len(shape.prompts[0]))} tokens with {format_count(shape.new_tokens)} new "
        "ones do not fit beside the weights; lower batch_size, shorten the prompts, or free "
        "memory on the device"
    )


def _device_seconds(served: ServedModel, shape: Shape, way: Way) -> float | None:
    if not served.device.startswith("cuda") or n_devices(served.model) > 1:
        return None

    def measured() -> float | None:
        if isinstance(way, Compiled):
            return compiled_device_seconds(way, shape, served.device)
        return eager_device_seconds(served.model, served.device, shape)

    return in_memory(measured, shape, served.device)

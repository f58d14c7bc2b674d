"""What is asked of a generating model, and what it wrote: the same for every way of batching."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantcheck.core.quantity import format_count
from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.measure.engine.plan import PackTooLargeError
from pytest_quantcheck.measure.engine.stopping import first_stop
from pytest_quantcheck.measure.protocols import Continuation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_quantcheck.workloads.decoding import Decoding


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One sequence to continue."""

    prompt: tuple[int, ...]
    stream: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One sequence that was continued."""

    asked: Asked
    found: Continuation
    is_finite: bool
    """Whether the logits behind it were neither NaN nor infinite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What ends an output."""

    decode: Callable[[Sequence[int]], str]
    """Returns the text of tokens."""
    tokens: tuple[int, ...]
    """End an output, and are no part of it."""

    def continuation(
        self, tokens: Sequence[int], decoding: Decoding, *, is_truncated: bool
    ) -> Continuation:
        """Return an output of these tokens, without the one that ended it."""
        text = self.decode(tokens)
        return Continuation(
            tokens=tuple(tokens),
            text=text[: first_stop(text, decoding.stop)],
            is_truncated=is_truncated,
        )


def out_of_memory(
    asked: Sequence[Asked], together: int, decoding: Decoding, device: str
) -> Exception:
    """Return what to raise where so many of these sequences do not fit together."""
    if together > 1:
        return PackTooLargeError(together)
    return MeasurementError(
        f"out of memory on {device}: a prompt of {format_count(len(asked[0].prompt))} "
        f"tokens with {format_count(decoding.max_new_tokens)} new ones does not fit beside "
        "the weights; shorten the prompts, lower max_new_tokens, or free memory on the device"
    )

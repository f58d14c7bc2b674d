"""Errors kept for whoever asks again, without keeping a model alive."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, TypeVar

from pytest_quantcheck.errors import QuantcheckError, with_causes

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_ResultT = TypeVar("_ResultT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """An error that is raised again for each test that asks."""

    error: Exception
    frames: TracebackType | None
    """Where a user's own code raised it; what the frames held is gone."""

    def again(self) -> NoReturn:
        """Raise the error as if it had just happened."""
        raise self.error.with_traceback(self.frames)


def failed(error: Exception) -> Failed:
    """Keep an error, and free what its traceback holds.

    Notes
    -----
    A traceback keeps the local variables of its frames alive, tensors among them. Our own errors
    say all there is to say and lose their frames; those of a user's scorer keep them, cleared, as
    the place in its source is what the user needs.
    """
    for link in with_causes(error):
        if isinstance(error, QuantcheckError):
            link.__traceback__ = None
        else:
            traceback.clear_frames(link.__traceback__)
    return Failed(error=error, frames=error.__traceback__)


def attempt(work: Callable[[], _ResultT]) -> _ResultT | Failed:
    """Return what `work` returns, or the error it raised."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - raised again for who asks, scorers' own too
        return failed(error)

"""Errors kept for whoever asks again, without keeping a model alive."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from types import TracebackType


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """An error that is raised again for each test that asks."""

    error: Exception
    frames: TracebackType | None
    """Where it was raised; what the frames held is gone."""

    def again(self) -> NoReturn:
        """Raise the error as if it had just happened."""
        raise self.error.with_traceback(self.frames)


def failed(error: Exception) -> Failed:
    """Keep an error, and free what the frames of its traceback hold.

    Notes
    -----
    A traceback keeps every local variable of its frames alive, tensors among them.
    """
    chain: BaseException | None = error
    while chain is not None:
        traceback.clear_frames(chain.__traceback__)
        chain = chain.__cause__ or chain.__context__
    return Failed(error=error, frames=error.__traceback__)

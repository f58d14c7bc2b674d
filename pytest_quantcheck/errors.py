"""Everything that can go wrong on the user's side, by what the user can do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class QuantcheckError(Exception):
    """An error whose message says what was found, where, what was expected and what to do."""


class UsageError(QuantcheckError):
    """A marker, option or setting is wrong; nothing was measured."""


class BackendUnavailable(QuantcheckError):  # noqa: N818 - reads as a state, as skip reasons do
    """A variant cannot run here because a package or device is missing."""


class MeasurementError(QuantcheckError):
    """A model or its data could not be measured; this is never a verdict."""


class UnpairedScoresError(QuantcheckError):
    """Reference and variant were not scored on the same examples."""


class StoreError(QuantcheckError):
    """A file of the reference store is damaged, or none of its own."""


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its type where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def with_causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, and those that it was raised from or while handling."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__

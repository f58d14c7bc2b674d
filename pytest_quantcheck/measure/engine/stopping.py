"""Stop strings: each row of a batch ends by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers import StoppingCriteria

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_SPARE = 16
"""Tokens more than a stop string can have."""


class StopStrings(StoppingCriteria):
    """Ends a row when the text it generated contains one of some strings.

    Parameters
    ----------
    strings : sequence of str
        Never empty ones.
    decode : callable
        Returns the text of new tokens.
    prompt_tokens : int
        Tokens before the first new one.
    ends : sequence of int
        Tokens that end a row anyway.
    """

    def __init__(
        self,
        strings: Sequence[str],
        *,
        decode: Callable[[Sequence[int]], str],
        prompt_tokens: int,
        ends: Sequence[int],
    ) -> None:
        self._strings = tuple(strings)
        self._decode = decode
        self._prompt_tokens = prompt_tokens
        self._ends = frozenset(ends)
        self._over: set[int] = set()
        self.lengths: dict[int, int] = {}
        """New tokens of each row that a string ended, those of the string included."""

    def __call__(self, input_ids: torch.Tensor, scores: object, **_: Any) -> torch.Tensor:  # noqa: ANN401, ARG002 - as transformers calls it
        """Return which rows (b,) are over."""
        for row, tokens in enumerate(input_ids[:, self._prompt_tokens :].tolist()):
            if row in self._over:
                continue
            if tokens[-1] in self._ends:
                self._over.add(row)
            elif first_stop(self._decode(tokens), self._strings) is not None:
                self._over.add(row)
                self.lengths[row] = len(tokens)
        over = [row in self._over for row in range(len(input_ids))]
        return torch.tensor(over, device=input_ids.device)


def has_stopped(
    tokens: Sequence[int], strings: Sequence[str], decode: Callable[[Sequence[int]], str]
) -> bool:
    """Return whether the text of `tokens` has one of `strings`, having had none before the last.

    The end is looked at first, as a long output would be decoded anew at each of its tokens: no
    token but a special one stands for less than a byte.
    """
    if not strings:
        return False
    nearest = 2 * max(len(one.encode()) for one in strings) + _SPARE
    if first_stop(decode(tokens[-nearest:]), strings) is None:
        return False
    return first_stop(decode(tokens), strings) is not None


def first_stop(text: str, strings: Sequence[str]) -> int | None:
    """Return where the first of `strings` begins in `text`; None if none occurs."""
    found = [start for one in strings if (start := text.find(one)) >= 0]
    return min(found, default=None)

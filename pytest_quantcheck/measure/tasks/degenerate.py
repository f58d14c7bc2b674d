"""Outputs that are broken whatever was asked: empty, or caught in a loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_FEWEST_REPEATS = 3
_SHORTEST_LOOP = 8


def is_loop(tokens: Sequence[int]) -> bool:
    """Return whether an output ends in a phrase that repeats itself.

    Parameters
    ----------
    tokens : sequence of int
        The output, without the end-of-sequence token.

    Notes
    -----
    A phrase of p tokens, any p, stands at least three times in a row at the end, the last time
    perhaps cut short, and its repeats span at least 8 tokens: one token eight times, two tokens
    four times, three or more tokens three times. After Holtzman et al. (2020, arXiv:1904.09751,
    section 5), who count phrases of at least two tokens that stand three times at the end.
    """
    n = len(tokens)
    return any(
        _periodic_tail(tokens, period) >= max(_FEWEST_REPEATS * period, _SHORTEST_LOOP)
        for period in range(1, n // _FEWEST_REPEATS + 1)
    )


def _periodic_tail(tokens: Sequence[int], period: int) -> int:
    """Return the length of the longest tail in which each token equals that `period` before."""
    position = len(tokens) - 1
    while position >= period and tokens[position] == tokens[position - period]:
        position -= 1
    matched = len(tokens) - 1 - position
    return matched + period if matched else 0

"""Where two outputs part: the first token that differs. A description, never a verdict."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantcheck.measure.measurement import Measurement


def first_divergence(one: Sequence[int], other: Sequence[int]) -> int | None:
    """Return the index of the first token that differs; None where none does.

    Examples
    --------
    >>> first_divergence([5, 6, 7], [5, 6, 8])
    2
    >>> first_divergence([5, 6], [5, 6, 8])
    2
    >>> first_divergence([5, 6], [5, 6]) is None
    True
    """
    pairs = enumerate(zip_longest(one, other))
    return next((index for index, (left, right) in pairs if left != right), None)


def divergences(reference: Measurement, variant: Measurement) -> list[int | None] | None:
    """Return the first divergence of each example (n,); None where no tokens were generated."""
    pairs = list(zip(reference.outputs, variant.outputs, strict=True))
    if not any(one.n_tokens is not None for pair in pairs for one in pair):
        return None
    return [first_divergence(one.tokens, other.tokens) for one, other in pairs]

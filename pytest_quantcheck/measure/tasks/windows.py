"""A document cut into windows in which every token is predicted once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantcheck.measure.protocols import ScoreRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def window_requests(
    tokens: Sequence[int], prefix_token: int, window: int
) -> Iterator[ScoreRequest]:
    """Yield the windows of a document in order.

    Parameters
    ----------
    tokens : sequence of int
        At least one, without special tokens.
    prefix_token : int
        Stands before the first token.
    window : int
        Most tokens the model sees at once, at least 2.

    Notes
    -----
    The first window predicts up to `window` tokens after the prefix, each further one the next
    `window`. The last one reaches back as far as it can, so that its first prediction has a
    context.
    """
    document = (prefix_token, *tokens)
    for start in range(0, len(tokens), window):
        stop = min(start + window, len(tokens))
        begin = max(0, stop - window)
        yield ScoreRequest(
            tokens=document[begin : stop + 1],
            first_target=start + 1 - begin,
        )

"""A context and its continuation as one token sequence with a cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantcheck.measure.protocols import ScoreRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantcheck.measure.protocols import LoadedModel


def pair_request(
    loaded: LoadedModel, context: str, continuation: str, *, is_exact: bool = False
) -> ScoreRequest:
    """Return the request that scores `continuation` after `context`.

    Both are tokenized together, as text is, and cut where the context ends. Spaces at the end of
    the context belong to the continuation, as most tokenizers attach them to the next word; with
    `is_exact` they stay where they are, as at the end of a chat template. Where a token spans the
    cut, it belongs to the continuation, which keeps at least one token.
    """
    kept, together = pair_texts(context, continuation, is_exact=is_exact)
    whole = loaded.encode(together, special=True)
    cut = min(_shared(whole, loaded.encode(kept, special=True)), len(whole) - 1)
    if cut == 0:  # nothing to condition on: what stands before a document stands here
        return ScoreRequest(tokens=(loaded.prefix_token, *whole), first_target=1)
    return ScoreRequest(tokens=tuple(whole), first_target=cut)


def pair_texts(context: str, continuation: str, *, is_exact: bool) -> tuple[str, str]:
    """Return the texts that `pair_request` tokenizes: the context, and all together."""
    return context if is_exact else context.rstrip(), context + continuation


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many tokens two sequences begin with alike."""
    shortest = min(len(one), len(other))
    if one[:shortest] == other[:shortest]:
        return shortest
    return next(i for i in range(shortest) if one[i] != other[i])

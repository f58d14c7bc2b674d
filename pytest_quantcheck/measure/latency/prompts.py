"""The token ids that a timed workload is served with: so many in each row, and no special ones."""

from __future__ import annotations

import random
import string
from typing import TYPE_CHECKING

from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.measure.latency.protocols import Shape

if TYPE_CHECKING:
    from pytest_quantcheck.measure.protocols import LoadedModel
    from pytest_quantcheck.workloads.latency import Latency

_LETTERS = string.ascii_lowercase + string.digits
_LONGEST_WORD = 7
_MOST_TRIES = 6
"""Each with four times as many words as the one before."""


def shape_of(workload: Latency, batch_size: int, loaded: LoadedModel, *, seed: int) -> Shape:
    """Return what a model is served with.

    Parameters
    ----------
    workload : Latency
        What is asked for.
    batch_size : int
        Rows.
    loaded : LoadedModel
        Whose tokenizer is used.
    seed : int
        Of synthetic prompts: equal tokenizers give equal tokens.

    Raises
    ------
    UsageError
        Prompts are too short, or not equally long.
    MeasurementError
        The tokenizer gives no ordinary tokens for words.
    """
    if workload.prompts:
        given = _given(workload, loaded)
        rows = tuple(given[row % len(given)] for row in range(batch_size))
    else:
        words = _Words(loaded)
        n_tokens = workload.prompt_tokens or 0  # the recipe has one of both
        rows = tuple(words.row(n_tokens, f"{seed}/{row}") for row in range(batch_size))
    return Shape(prompts=rows, new_tokens=workload.new_tokens, mode=workload.mode)


def _given(workload: Latency, loaded: LoadedModel) -> list[tuple[int, ...]]:
    """Return the tokens of the user's prompts, equally many of each."""
    found = [tuple(loaded.encode(text, special=True)) for text in workload.prompts]
    lengths = [len(tokens) for tokens in found]
    wanted = workload.prompt_tokens
    if wanted is None and len(set(lengths)) > 1:
        raise UsageError(
            f"workload {workload.name}: its prompts are {min(lengths)} to {max(lengths)} tokens "
            "long, and rows of a batch must be equally long; cut them all with "
            f"prompt_tokens={min(lengths)}"
        )
    if wanted is None:
        return found
    if min(lengths) < wanted:
        shortest = lengths.index(min(lengths))
        raise UsageError(
            f"workload {workload.name}: prompt {shortest} has {lengths[shortest]} tokens, and "
            f"prompt_tokens={wanted} cuts longer ones only; give a longer text, or lower "
            "prompt_tokens"
        )
    return [tokens[:wanted] for tokens in found]


class _Words:
    """Draws rows of ordinary tokens: those of random words."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded
        self._is_ordinary: dict[int, bool] = {}

    def row(self, n_tokens: int, seed: str) -> tuple[int, ...]:
        """Return so many tokens, after the BOS where the tokenizer adds one."""
        loaded, rng = self._loaded, random.Random(seed)  # noqa: S311 - words, not secrets
        tokens = [*loaded.encode("", special=True)]
        n_words = n_tokens
        for _ in range(_MOST_TRIES):
            if len(tokens) >= n_tokens:
                return tuple(tokens[:n_tokens])
            found = loaded.encode(_text(rng, n_words), special=False)
            tokens += filter(self._is_text, found)
            n_words *= 4
        raise MeasurementError(
            f"the tokenizer gives {len(tokens)} tokens that are text for {n_words} random words, "
            f"where prompt_tokens={n_tokens} asks for more; give prompts=[…] in its own alphabet"
        )

    def _is_text(self, token: int) -> bool:
        """Whether a token is an ordinary one: special ones are left out of decoded text."""
        if token not in self._is_ordinary:
            self._is_ordinary[token] = bool(self._loaded.decode([token]))
        return self._is_ordinary[token]


def _text(rng: random.Random, n_words: int) -> str:
    words = (
        "".join(rng.choices(_LETTERS, k=rng.randint(1, _LONGEST_WORD))) for _ in range(n_words)
    )
    return " ".join(words)

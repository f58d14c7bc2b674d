"""Whether a reference knows its task at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantcheck.stats.proportion import p_at_least

if TYPE_CHECKING:
    from pytest_quantcheck.stats.scores import ExampleScores

_LEVEL = 0.05


def is_at_chance(scores: ExampleScores, chance: float) -> bool:
    """Say whether the answers could as well have been guessed.

    Parameters
    ----------
    scores : ExampleScores
        (n,) right (1) or wrong (0).
    chance : float
        Mean probability of guessing right, in [0, 1).

    Returns
    -------
    bool
        Whether the exact binomial test of "no better than guessing" keeps its hypothesis at 5 %.

    Notes
    -----
    A variant cannot lose what its reference does not have: every drop budget passes.

    Examples
    --------
    >>> import numpy as np
    >>> from pytest_quantcheck.stats.scores import ExampleScores
    >>> half = ExampleScores(
    ...     metric="accuracy",
    ...     ids=tuple("abcdefgh"),
    ...     values=np.array([1.0, 0, 1, 0, 1, 0, 1, 0]),
    ...     weights=np.ones(8),
    ... )
    >>> is_at_chance(half, 0.5), is_at_chance(half, 0.0)
    (True, False)
    """
    n_right = int(scores.values.sum())
    return p_at_least(n_right, scores.values.size, share=chance) > _LEVEL

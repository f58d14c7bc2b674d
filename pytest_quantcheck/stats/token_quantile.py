"""A quantile over tokens against a limit, with documents as clusters of tokens."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pytest_quantcheck.core.metric import METRICS
from pytest_quantcheck.stats.means import MIN_NONZERO
from pytest_quantcheck.stats.ratio_mean import add_up, estimate_ratio_mean
from pytest_quantcheck.stats.scores import pooled_quantile
from pytest_quantcheck.stats.teeth import chance_for_mean
from pytest_quantcheck.stats.token_share import (
    examine_token_share,
    share_p_values,
    share_question,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pytest_quantcheck.core.limit import Limit
    from pytest_quantcheck.core.verdict import Estimate, Levels
    from pytest_quantcheck.stats.decide import Evidence
    from pytest_quantcheck.stats.means import MeanQuestion
    from pytest_quantcheck.stats.paired import CheckedScores


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Divergences of tokens, in documents or clusters of them."""

    metric: str
    scores: CheckedScores
    ordered: tuple[NDArray[np.float64], ...]
    """(n,) of each document, ascending."""
    levels: Levels

    def question(self, limit: float) -> MeanQuestion:
        """Return whether the share of tokens over a limit is small enough for the quantile."""
        over = [one.size - np.searchsorted(one, limit, side="right") for one in self.ordered]
        return share_question(
            np.array(over, np.float64),
            np.array([one.size for one in self.ordered], np.float64),
            clusters=self.scores.clusters,
            limit=1 - (METRICS[self.metric].quantile or 0.0),
            levels=self.levels,
        )

    def tested(self, limit: float) -> list[float]:
        """Return the limits, none larger than one, at which a share may be tested.

        The largest that 20 documents or clusters exceed, or the limit itself if that is smaller;
        and those that 40, 80 and so on exceed. A quantile within one of them is within the limit.
        """
        peaks, clusters = np.array([one[-1] for one in self.ordered]), self.scores.clusters
        if clusters is not None:
            peaks = np.array([peaks[clusters == one].max() for one in np.unique(clusters)])
        peaks = np.sort(peaks)[::-1]
        edges, count = [], MIN_NONZERO
        while count <= peaks.size:
            edges.append(float(np.nextafter(peaks[count - 1], -math.inf)))
            count *= 2
        first = min(limit, edges[0]) if edges and edges[0] > 0 else limit
        return [first, *(edge for edge in edges[1:] if 0 < edge < first)]

    def for_pass(self, limit: float) -> MeanQuestion:
        """Return the question whose answer may show that the quantile is within the limit."""
        questions = [self.question(tested) for tested in self.tested(limit)]
        return min(questions, key=lambda question: share_p_values(question).p_pass)

    def p_pass(self, limit: float) -> float:
        """Return the p-value of "the quantile is over the limit"."""
        return share_p_values(self.for_pass(limit)).p_pass

    def p_fail(self, limit: float) -> float:
        """Return the p-value of "the quantile is within the limit"."""
        return share_p_values(self.question(limit)).p_fail


def order_tokens(scores: CheckedScores, *, levels: Levels) -> Tokens:
    """Return the divergences of all tokens, ready for questions."""
    assert scores.observations is not None  # noqa: S101 - a quantile has them
    return Tokens(
        metric=scores.metric.name,
        scores=scores,
        ordered=tuple(np.sort(one) for one in scores.observations),
        levels=levels,
    )


def examine_token_quantile(limit: Limit, scores: CheckedScores, *, levels: Levels) -> Evidence:
    """Return the evidence on a quantile over all tokens.

    Notes
    -----
    The quantile is within the limit where the share of tokens over it is at most 1 - quantile. That
    share is tested with documents as clusters: see `examine_token_share`. PASS is looked for at
    smaller limits too, those that 20, 40, 80 … documents exceed, so that a looser limit is no
    harder to show; `tests/calibration` has what that costs in false PASS.
    """
    tokens = order_tokens(scores, levels=levels)
    question = tokens.question(limit.value)
    found, within = examine_token_share(question), examine_token_share(tokens.for_pass(limit.value))
    value = pooled_quantile(tokens.metric, tokens.ordered)
    method = (within if value <= limit.value else found).estimate.method
    estimate = replace(
        found.estimate,
        value=value,
        p_pass=within.estimate.p_pass,
        method=f"{method}, of the share of tokens over the limit",
        counts={"over": int(question.values.sum()), "tokens": int(question.weights.sum())},
    )
    return replace(
        found,
        estimate=_with_interval(estimate, tokens, limit.value, levels),
        degradation=value,
        allowed=limit.value,
        allows_nothing=False,
        untested=None,
        chance=lambda true: _chance_of_quantile(tokens, limit.value, true, value=value),
    )


def _with_interval(estimate: Estimate, tokens: Tokens, limit: float, levels: Levels) -> Estimate:
    """Return the estimate with the limits that neither test rejects.

    They are divergences that were observed, found by bisection. The tests need not be monotone in
    the limit; the limit itself is inside or outside as they say.
    """
    alpha = levels.alpha_pass
    seen = np.unique(np.concatenate(tokens.ordered))
    high = _first(seen, lambda value: tokens.p_pass(value) <= alpha)
    low = _first(seen, lambda value: tokens.p_fail(value) > alpha)
    low = 0.0 if low == seen[0] else low
    high = min(high, limit) if estimate.p_pass <= alpha else max(high, limit)
    low = max(low, limit) if estimate.p_fail <= alpha else min(low, limit)
    return replace(estimate, low=min(low, estimate.value), high=max(high, estimate.value))


def _first(ascending: NDArray[np.float64], is_so: Callable[[float], bool]) -> float:
    """Return the first number from which on something is so, inf where it never is."""
    below, above = -1, ascending.size
    while above - below > 1:
        middle = (below + above) // 2
        if is_so(float(ascending[middle])):
            above = middle
        else:
            below = middle
    return float(ascending[above]) if above < ascending.size else math.inf


def _chance_of_quantile(tokens: Tokens, limit: float, true: float, *, value: float) -> float | None:
    """Return the chance of FAIL where all divergences are as much larger as the quantile is."""
    question = tokens.question(value * limit / true)
    by_cluster = add_up(question.values, question.weights, clusters=question.clusters)
    mean = estimate_ratio_mean(by_cluster)
    if mean.df <= 0 or mean.error == 0:
        return None
    return chance_for_mean(
        mean, limit=question.limit, true=mean.mean, alpha=tokens.levels.alpha_fail
    )

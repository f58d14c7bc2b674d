"""Strategies of small measurements and limits, one for each statistic and kind of score."""

from dataclasses import dataclass, replace

import numpy as np
from hypothesis import strategies as st

from pytest_quantcheck.core.grammar import parse_limit
from pytest_quantcheck.core.limit import Statistic
from pytest_quantcheck.core.metric import METRICS, Scale
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.procedures import judge
from pytest_quantcheck.stats.scores import ExampleScores


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A limit keyword on a metric, with values that its limit may have."""

    keyword: str
    metric: str
    limits: tuple[float, ...]
    bounds: tuple[float, float] | None = None

    @property
    def statistic(self):
        return parse_limit(self.keyword, self.limits[-1]).statistic


SHARES = tuple(k / 40 for k in range(1, 20))
FEW = tuple(k / 10 for k in range(1, 20))
RATIOS = tuple(1 + k / 50 for k in range(1, 20))
KINDS = {
    "drop of answers": Kind(keyword="max_accuracy_drop", metric="accuracy", limits=SHARES),
    "rise of faults": Kind(keyword="max_loop_rise", metric="loop", limits=SHARES),
    "drop of bounded scores": Kind(
        keyword="max_score_drop", metric="score", limits=SHARES, bounds=(0.0, 1.5)
    ),
    "drop of unbounded scores": Kind(keyword="max_score_drop", metric="score", limits=FEW),
    "recovery of answers": Kind(
        keyword="min_accuracy_recovery", metric="accuracy", limits=tuple(1 - s for s in SHARES)
    ),
    "recovery of scores": Kind(
        keyword="min_score_recovery", metric="score", limits=tuple(1 - s for s in SHARES),
        bounds=(0.0, 1.5),
    ),
    "perplexity ratio": Kind(keyword="max_perplexity_ratio", metric="perplexity", limits=RATIOS),
    "flips": Kind(keyword="max_flip_rate", metric="accuracy", limits=SHARES),
    "harmful flips": Kind(keyword="max_harmful_flip_rate", metric="accuracy", limits=SHARES),
    "level of answers": Kind(keyword="min_accuracy", metric="accuracy", limits=SHARES),
    "level of scores": Kind(
        keyword="min_score", metric="score", limits=SHARES, bounds=(0.0, 1.5)
    ),
    "perplexity": Kind(keyword="max_perplexity", metric="perplexity", limits=RATIOS),
    "level of the reference": Kind(
        keyword="min_reference_accuracy", metric="accuracy", limits=SHARES
    ),
}  # fmt: skip
STATISTICS = {kind.statistic for kind in KINDS.values()}
UNTESTED = {
    Statistic.WEIGHT_RATIO,
    Statistic.LATENCY_RATIO,
    Statistic.LATENCY_QUANTILE,
    Statistic.THROUGHPUT_RATIO,
    Statistic.PEAK_MEMORY_RATIO,
    Statistic.PEAK_MEMORY,
}
"""Not judged by scores of examples."""


def values_of(kind):
    """Return what one example may score."""
    match METRICS[kind.metric].scale:
        case Scale.BINARY:
            return st.sampled_from([0.0, 1.0, 1.0, 1.0])
        case Scale.NLL:
            return st.integers(0, 64).map(lambda k: k / 16)
        case Scale.SCORE:
            return st.sampled_from([0.25, 0.5, 0.5, 0.5, 0.75, 1.25])


@st.composite
def pairs(draw, kind, *, is_clustered):
    """Return scores of reference and variant on 5 to 40 examples, most or few of them unchanged."""
    n = draw(st.integers(5, 40))
    columns = [draw(st.lists(values_of(kind), min_size=n, max_size=n)) for _ in range(2)]
    keeping = st.sampled_from([True, True, False]) if draw(st.booleans()) else st.just(value=False)
    kept = np.array(draw(st.lists(keeping, min_size=n, max_size=n)))
    reference, variant = (np.array(column) for column in columns)
    reference[0] = 1.0  # a recovery needs something to keep
    clusters, weights = None, np.ones(n)
    if is_clustered:
        labels = draw(st.lists(st.integers(0, 12), min_size=n, max_size=n))
        clusters = np.array(labels, dtype=np.int64)
    if METRICS[kind.metric].scale is Scale.NLL:
        weights = np.array(draw(st.lists(st.integers(1, 9), min_size=n, max_size=n)), dtype=float)
    return tuple(
        ExampleScores(
            metric=kind.metric,
            ids=tuple(f"e{i:02}" for i in range(n)),
            values=values,
            weights=weights,
            clusters=clusters,
            bounds=kind.bounds,
        )
        for values in (reference, np.where(kept, reference, variant))
    )


def reordered(scores, order, *, names=None):
    """Return the examples in another order, or under other names."""
    return replace(
        scores,
        ids=tuple((names or scores.ids)[i] for i in order),
        values=scores.values[order],
        weights=scores.weights[order],
        clusters=None if scores.clusters is None else scores.clusters[order],
    )


def decided(kind, value, pair, *, family=1):
    """Return the verdict on a limit of this kind, whatever its sign."""
    limit = replace(parse_limit(kind.keyword, kind.limits[-1]), value=value)
    return judge(limit, pair[0], variant=pair[1], levels=levels(0.1, family))

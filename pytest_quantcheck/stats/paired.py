"""Reference and variant on the same examples: the one place where they are matched."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, assert_never

import numpy as np

from pytest_quantcheck.core.limit import Statistic
from pytest_quantcheck.core.metric import METRICS, Direction, Scale
from pytest_quantcheck.errors import MeasurementError, UnpairedScoresError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from pytest_quantcheck.core.metric import Metric
    from pytest_quantcheck.stats.scores import ExampleScores

_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CheckedScores:
    """Scores of one variant, in the order of their ids and fit for a procedure."""

    metric: Metric
    ids: tuple[str, ...]
    """(n,) ascending."""
    values: NDArray[np.float64]
    """(n,) no NaN; +inf for a loss that overflowed."""
    weights: NDArray[np.float64]
    """(n,) above 0."""
    labels: NDArray[np.int64] | None
    """(n,) cluster labels as measured."""
    bounds: tuple[float, float] | None
    observations: tuple[NDArray[np.float64], ...] | None = None
    """(n,) what each value stands for; None where the values say all."""

    @property
    def n(self) -> int:
        """Number of examples."""
        return len(self.ids)

    @property
    def clusters(self) -> NDArray[np.int64] | None:
        """(n,) cluster of each example, counted from 0; None if no two examples share one."""
        if self.labels is None:
            return None
        distinct, clusters = np.unique(self.labels, return_inverse=True)
        return None if distinct.size == self.n else clusters.astype(np.int64)

    @property
    def is_binary(self) -> bool:
        """Whether each example is right (1) or wrong (0)."""
        can_be = self.metric.scale is Scale.BINARY or self.bounds == (0, 1)
        return can_be and bool(np.all((self.values == 0) | (self.values == 1)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairedScores:
    """What reference and variant scored on each example; made by `align` alone."""

    reference: NDArray[np.float64]
    """(n,) finite."""
    variant: NDArray[np.float64]
    """(n,) no NaN; +inf for a loss that overflowed."""
    weights: NDArray[np.float64]
    """(n,) tokens, or 1; above 0."""
    clusters: NDArray[np.int64] | None
    """(n,) cluster of each example, counted from 0; None if no two examples share one."""
    ids: tuple[str, ...]
    """(n,) ascending."""
    metric: Metric
    bounds: tuple[float, float] | None
    """Lowest and highest possible value; None if unbounded."""
    is_binary: bool
    """Whether every value of both is 0 or 1."""

    @property
    def n(self) -> int:
        """Number of examples."""
        return len(self.ids)

    def flips(self, statistic: Statistic) -> NDArray[np.bool_]:
        """Return (n,) which examples flip: all that do, or for HARMFUL_FLIPS those lost."""
        flipped: NDArray[np.bool_] = self.reference != self.variant
        if statistic is Statistic.HARMFUL_FLIPS:
            flipped &= self.reference == 1
        return flipped

    def as_higher_is_better(self) -> PairedScores:
        """Return the pairs with what is better when lower mirrored, so that losses are losses.

        What is 0 or 1 becomes 1 or 0; a score changes its sign.
        """
        if self.metric.direction is Direction.HIGHER_IS_BETTER:
            return self
        top = 1.0 if self.is_binary else 0.0
        bounds = None if self.bounds is None else (top - self.bounds[1], top - self.bounds[0])
        return replace(
            self, reference=top - self.reference, variant=top - self.variant, bounds=bounds
        )


def align(reference: ExampleScores, variant: ExampleScores) -> PairedScores:
    """Match the scores of reference and variant example by example.

    Parameters
    ----------
    reference, variant : ExampleScores
        The same examples in any order.

    Returns
    -------
    PairedScores
        In the order of the ids, so that no verdict depends on the order of measurement.

    Raises
    ------
    UnpairedScoresError
        Ids, metric, bounds, weights or clusters of the two differ.
    MeasurementError
        There are no examples, or values that no procedure can use; see `check_scores`. A
        reference must be finite.
    """
    _same("metric", reference.metric, variant.metric)
    _same("bounds", reference.bounds, variant.bounds)
    first, second = check_reference(reference), check_scores(variant, role="variant")
    if first.ids != second.ids:
        raise UnpairedScoresError(_describe_unpaired(set(first.ids), set(second.ids)))
    _refuse_unequal(first.ids, first.weights, second.weights, name="weights")
    if (first.labels is None) != (second.labels is None):
        raise UnpairedScoresError(
            "only one of reference and variant names clusters; measure both on one workload"
        )
    if first.labels is not None and second.labels is not None:
        _refuse_unequal(first.ids, first.labels, second.labels, name="clusters")
    return PairedScores(
        reference=first.values,
        variant=second.values,
        weights=first.weights,
        clusters=first.clusters,
        ids=first.ids,
        metric=first.metric,
        bounds=first.bounds,
        is_binary=first.is_binary and second.is_binary,
    )


def check_reference(reference: ExampleScores) -> CheckedScores:
    """Check a reference, which must be finite; see `check_scores`."""
    checked = check_scores(reference, role="reference")
    is_infinite = ~np.isfinite(checked.values)
    _refuse(
        checked.ids, is_infinite, f"{checked.metric.name} of the reference is infinite for {{}}"
    )
    return checked


def check_scores(scores: ExampleScores, *, role: str) -> CheckedScores:
    """Sort the scores of one variant by id and refuse what no procedure can use.

    Parameters
    ----------
    scores : ExampleScores
        As measured.
    role : str
        "reference" or "variant", for messages.

    Raises
    ------
    MeasurementError
        There are no examples; an id occurs twice; a value is NaN, outside the bounds, infinite
        where it is no loss, or neither 0 nor 1 where it is right or wrong; a weight is not above
        0, or not 1 where values are no losses.
    """
    if not scores.ids:
        raise MeasurementError(f"no examples: the {role} has no value of {scores.metric!r}")
    order = sorted(range(len(scores.ids)), key=scores.ids.__getitem__)
    ids = tuple(scores.ids[i] for i in order)
    twice = {here for here, following in itertools.pairwise(ids) if here == following}
    if twice:
        raise MeasurementError(
            f"ids occur more than once in the {role}: {name_ids(twice)}; give each example its own"
        )
    found = scores.taken(order)
    checked = CheckedScores(
        metric=METRICS[scores.metric],
        ids=ids,
        values=np.asarray(found.values, dtype=np.float64),
        weights=np.asarray(found.weights, dtype=np.float64),
        labels=found.clusters,
        bounds=found.bounds,
        observations=found.observations,
    )
    _check_values(checked, role=role)
    return checked


def _check_values(scores: CheckedScores, *, role: str) -> None:
    name, values, weights = scores.metric.name, scores.values, scores.weights
    usable = np.isfinite(weights) & (weights > 0)
    _refuse(scores.ids, np.isnan(values), f"{name} of the {role} is NaN for {{}}")
    _refuse(scores.ids, ~usable, f"the {role} has weights that are not above 0 for {{}}")
    wrong, wanted = _find_impossible(scores)
    _refuse(scores.ids, wrong, f"{name} of the {role} is not {wanted}, for {{}}")


def _find_impossible(scores: CheckedScores) -> tuple[NDArray[np.bool_], str]:
    """Return which values the metric cannot take, and what it can take."""
    values, several = scores.values, scores.weights != 1
    match scores.metric.scale:
        case Scale.BINARY:
            is_wrong = (values != 0) & (values != 1)
            return is_wrong | several, "0 or 1, with weight 1"
        case Scale.SCORE:
            low, high = scores.bounds or (-np.inf, np.inf)
            outside = ~np.isfinite(values) | (values < low) | (values > high)
            return outside | several, f"finite and within [{low}, {high}], with weight 1"
        case Scale.NLL:
            return values == -np.inf, "a loss above minus infinity"
        case Scale.DIVERGENCE | Scale.QUANTILE:
            return ~np.isfinite(values) | (values < 0), "a finite divergence of 0 or more"
        case Scale.SHARE:
            return (values < 0) | (values > scores.weights), "a number of its tokens"
        case Scale.TIME | Scale.RATE | Scale.SIZE:
            return np.ones(values.shape, dtype=np.bool_), "a score of examples"
        case _:
            assert_never(scores.metric.scale)


def _same(name: str, reference: object, variant: object) -> None:
    if reference != variant:
        raise UnpairedScoresError(
            f"{name} differ: {reference!r} for the reference, {variant!r} for the variant; "
            "measure both on one workload"
        )


def _refuse(ids: tuple[str, ...], wrong: NDArray[np.bool_], message: str) -> None:
    if np.any(wrong):
        raise MeasurementError(message.format(name_ids(ids[i] for i in np.flatnonzero(wrong))))


def _refuse_unequal(
    ids: tuple[str, ...],
    reference: NDArray[np.float64] | NDArray[np.int64],
    variant: NDArray[np.float64] | NDArray[np.int64],
    *,
    name: str,
) -> None:
    differs = np.flatnonzero(reference != variant)
    if differs.size:
        raise UnpairedScoresError(
            f"{name} of reference and variant differ for {name_ids(ids[i] for i in differs)}; "
            "measure both with one tokenizer on one workload"
        )


def _describe_unpaired(reference: set[str], variant: set[str]) -> str:
    parts = ["reference and variant were scored on different examples"]
    if reference - variant:
        parts.append(f"in the reference only: {name_ids(reference - variant)}")
    if variant - reference:
        parts.append(f"in the variant only: {name_ids(variant - reference)}")
    return "; ".join([*parts, "measure both on one workload"])


def name_ids(ids: Iterable[str]) -> str:
    """Return the first five ids, and how many more there are."""
    ordered = sorted(ids)
    more = len(ordered) - _NAMED
    named = ", ".join(repr(name) for name in ordered[:_NAMED])
    return f"{named} and {more} more" if more > 0 else named

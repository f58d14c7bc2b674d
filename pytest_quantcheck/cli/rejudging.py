"""Verdicts of a run decided again, from what every example scored."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantcheck.cli.rows import rows_in, scores_of
from pytest_quantcheck.core.budget import Gate, Target
from pytest_quantcheck.core.grammar import parse_limit
from pytest_quantcheck.core.limit import Statistic
from pytest_quantcheck.core.metric import METRICS
from pytest_quantcheck.errors import QuantcheckError, UsageError
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.noise import Noise, floor_of, hold_back
from pytest_quantcheck.stats.procedures import judge, judge_weight_ratio
from pytest_quantcheck.stats.scores import metric_level
from pytest_quantcheck.stats.sequential.trial import Plan, Trial

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_quantcheck.cli.runs import SavedRun
    from pytest_quantcheck.core.examples import CourseRecord, ExamplesRecord
    from pytest_quantcheck.core.limit import Limit
    from pytest_quantcheck.core.record import CheckRecord
    from pytest_quantcheck.core.verdict import Levels, Verdict
    from pytest_quantcheck.stats.scores import ExampleScores

_CLOSE = 1e-6
"""Relative: other machines and versions of scipy round otherwise."""
_ROUNDED = 1e-4
"""The same of quantiles, whose observations are recorded with six digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Reference and variant, on the examples that a budget is about."""

    reference: ExampleScores
    variant: ExampleScores
    batches: Sequence[int] | None
    """(n,) the batch each example came in; None where all were measured at once."""


def is_recorded(check: CheckRecord) -> bool:
    """Say whether the run holds what its verdict was reached with."""
    return check.examples is not None or check.statistic == Statistic.WEIGHT_RATIO.value


def differences(check: CheckRecord, saved: SavedRun) -> Iterator[str]:
    """Yield in words what deciding a budget again finds different from its record.

    Parameters
    ----------
    check : CheckRecord
        One that `is_recorded`.
    saved : SavedRun
        The run it is of.
    """
    environment = next(one for one in saved.run.environments if one.model == check.model)
    share = levels(environment.alpha, environment.family_size)
    if (share.alpha_pass, share.alpha_fail) != (check.alpha_pass, check.alpha_fail):
        yield (
            f"error rates {check.alpha_pass:g} and {check.alpha_fail:g} in the record, "
            f"{share.alpha_pass:g} and {share.alpha_fail:g} from alpha and family of the run"
        )
    try:
        limit = parse_limit(check.keyword, check.limit)
        yield from _differences(check, saved, limit=limit, share=share)
    except QuantcheckError as error:
        yield f"it cannot be decided again: {error}"


def _differences(
    check: CheckRecord, saved: SavedRun, *, limit: Limit, share: Levels
) -> Iterator[str]:
    if limit.statistic is Statistic.WEIGHT_RATIO:
        sizes = int(check.reference_level), int(check.variant_level)
        verdict = judge_weight_ratio(limit, sizes[0], variant_bytes=sizes[1], levels=share)
        yield from _compare(check, verdict, {})
        return
    record = saved.examples.get(check.examples or "")
    reference = saved.examples.get(record.reference or "") if record else None
    if record is None or reference is None:
        yield (
            f"no scores called {check.examples} of {check.workload} on {check.variant}, which it "
            "was decided by: a line was changed or removed"
        )
        return
    sides = _sides(check, record, reference)
    verdict = _decide(check, record.course, limit, sides, share)
    floor = _floor(check, saved, limit)
    verdict = hold_back(verdict, floor=floor, bound=limit.bound)
    found = {
        "reference_level": metric_level(sides.reference),
        "variant_level": metric_level(sides.variant),
        "noise_floor": floor,
    }
    if METRICS[check.metric].is_of_pair:
        del found["reference_level"]  # the ideal
    yield from _compare(check, verdict, found)


def _decide(
    check: CheckRecord, course: CourseRecord | None, limit: Limit, sides: Sides, share: Levels
) -> Verdict:
    """Return the verdict, looked for batch by batch where it could come early."""
    target = Target(check.target)
    if check.n_planned is None:
        return judge(
            limit,
            sides.reference,
            variant=sides.variant,
            levels=share,
            target=target,
            gate=Gate(check.gate),
        )
    drawn = (
        next((one for one in course.drawn if one.slice == check.slice), None) if course else None
    )
    if drawn is None or sides.batches is None:
        raise UsageError("the records do not say in which batches its examples came")
    plan = Plan(n=drawn.n, n_clusters=drawn.n_clusters, largest_cluster=drawn.largest_cluster)
    trial = Trial(limit, plan=plan, levels=share, target=target)
    for batch in sorted(set(sides.batches)):
        rows = [row for row, one in enumerate(sides.batches) if one == batch]
        trial.update(sides.reference.taken(rows), sides.variant.taken(rows))
    if trial.verdict is None:
        raise UsageError(f"its {trial.n} examples do not decide it")
    return trial.verdict


def _sides(check: CheckRecord, record: ExamplesRecord, reference: ExamplesRecord) -> Sides:
    """Return the scores that a budget is about."""
    compared = record if METRICS[check.metric].is_of_pair else reference
    first, second = compared.rows_of(check.metric), record.rows_of(check.metric)
    if first is None or second is None:
        raise UsageError(f"the records have no scores for {check.metric}")
    both = scores_of(first), scores_of(second)
    batches = record.course.batches if record.course else None
    if check.slice is None:
        return Sides(reference=both[0], variant=both[1], batches=batches)
    rows = rows_in(check.slice, both[1].ids, record)
    return Sides(
        reference=both[0].taken(rows),
        variant=both[1].taken(rows),
        batches=[batches[row] for row in rows] if batches else None,
    )


def _floor(check: CheckRecord, saved: SavedRun, limit: Limit) -> float | None:
    """Return the noise floor by what the run says of the reference measured twice."""
    if check.noise_floor is None:
        return None
    for one in saved.run.noise:
        key = one.model, one.fingerprint, one.metric
        if key == (check.model, check.fingerprint, check.metric):
            noise = Noise(
                n=one.n, n_different=one.n_different, difference=one.difference, most=one.most
            )
            return floor_of(limit, noise, reference_level=check.reference_level)
    raise UsageError("the run does not say how far its reference differs from itself")


def _compare(check: CheckRecord, verdict: Verdict, found: dict[str, float | None]) -> Iterator[str]:
    """Yield what differs between a record and the verdict found again."""
    estimate = verdict.estimate
    said = {"outcome": verdict.outcome.value, "reason": verdict.reason.value}
    for name, word in said.items():
        if getattr(check, name) != word:
            yield f"{name} {getattr(check, name)} in the record, {word} from the scores"
    figures = found | {
        "value": estimate.value,
        "low": _known(estimate.low),
        "high": _known(estimate.high),
        "p_pass": _known(estimate.p_pass),
        "p_fail": _known(estimate.p_fail),
        "n": estimate.n,
        "design_effect": estimate.design_effect,
    }
    close = _ROUNDED if METRICS.get(check.metric) and METRICS[check.metric].quantile else _CLOSE
    for name, figure in figures.items():
        kept = getattr(check, name)
        if not _is_close(kept, figure, close):
            yield f"{name} {_shown(kept)} in the record, {_shown(figure)} from the scores"


def _is_close(kept: float | None, found: float | None, close: float) -> bool:
    if kept is None or found is None:
        return kept is found
    return math.isclose(kept, found, rel_tol=close, abs_tol=close * close)


def _known(number: float) -> float | None:
    return None if math.isnan(number) else number


def _shown(number: float | None) -> str:
    return "none" if number is None else f"{number:.6g}"

"""What no budget asks, and the reader of a run should know."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING

from pytest_quantcheck.core.budget import Target
from pytest_quantcheck.core.limit import Statistic
from pytest_quantcheck.core.metric import METRICS
from pytest_quantcheck.core.quantity import Unit, format_count, format_quantity
from pytest_quantcheck.core.redaction import REPEATED
from pytest_quantcheck.core.verdict import Levels
from pytest_quantcheck.plugin.checks import estimated
from pytest_quantcheck.plugin.evaluate import correctness_metric
from pytest_quantcheck.plugin.slices import CHANGES, collapsed
from pytest_quantcheck.report import wording
from pytest_quantcheck.report.screen import ascii_safe
from pytest_quantcheck.stats.chance import is_at_chance
from pytest_quantcheck.stats.scores import metric_level
from pytest_quantcheck.workloads.example import COPIES, ChoiceItem, LabelItem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_quantcheck.core.budget import Budget
    from pytest_quantcheck.core.protocols import WorkloadLike
    from pytest_quantcheck.core.record import CheckRecord
    from pytest_quantcheck.measure.measurement import Measurement
    from pytest_quantcheck.plugin.evaluate import Pair, Side

_SMALLEST_LEVEL = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A budget with what it was decided on."""

    budget: Budget
    workload: WorkloadLike | None
    """None where only the weights count."""
    pair: Pair
    """On the examples that the verdict took."""
    check: CheckRecord
    is_of_reference: bool = False
    """Whether the variant is the reference."""


def warnings_of(pairs: Mapping[WorkloadLike, Pair], decisions: Sequence[Decision]) -> Iterator[str]:
    """Yield a line for everything that a test's verdicts do not say."""
    yield from _self_warnings(decisions)
    for workload, pair in pairs.items():
        mine = [one for one in decisions if one.workload is workload]
        yield from _chance_warnings(pair.reference.measurement, mine)
    for pair in pairs.values():
        yield from _repeat_warnings(pair.variant.measurement)
        yield from _cut_warnings(pair.variant.measurement)
    for pair in pairs.values():
        yield from _output_warnings(pair.reference)
        yield from _output_warnings(pair.variant)
    for one in decisions:
        if one.workload is not None:
            yield from _slice_warnings(one.budget, one.pair, one.check)


def _self_warnings(decisions: Sequence[Decision]) -> Iterator[str]:
    """Yield a warning if budgets compare the reference with itself, which none can fail."""
    compared = (one for one in decisions if not one.budget.limit.statistic.is_level)
    for name in dict.fromkeys(one.check.variant for one in compared if one.is_of_reference):
        yield (
            f"{name} is the reference itself, so that budgets on what it loses show nothing: leave "
            f"it out, or name another quant_reference"
        )


def family_warnings(levels: Levels) -> Iterator[str]:
    """Yield a warning if so many budgets share alpha that hardly anything can be shown."""
    if levels.alpha_fail < _SMALLEST_LEVEL:
        yield (
            f"the family is so large that a budget fails at a p-value of {levels.alpha_fail:.1g} "
            "only: split the suite, or ask fewer limits"
        )


def _chance_warnings(
    measurement: Measurement | None, decisions: Sequence[Decision]
) -> Iterator[str]:
    """Yield a warning for each metric on which the reference may as well have guessed.

    Looked at are the metrics that budgets compare, or else the first; not those with a floor.
    """
    names = measurement.scores if measurement else ()
    if measurement is None or not any(METRICS[name].is_correctness for name in names):
        return
    compared = [
        one.check.metric
        for one in decisions
        if _needs_a_reference(one.budget.limit.statistic)
        and METRICS[one.check.metric].is_correctness
    ]
    floored = {
        one.check.metric
        for one in decisions
        if one.budget.limit.statistic is Statistic.REFERENCE_LEVEL
        and one.budget.slice is None
        and one.budget.limit.value > 0
    }
    for metric in dict.fromkeys(compared or [correctness_metric(measurement)]):
        if metric not in floored:
            yield from _chance_warning(measurement, metric)


def _needs_a_reference(statistic: Statistic) -> bool:
    """Whether a statistic shows nothing where the reference knows nothing."""
    return statistic in CHANGES or statistic.is_flips


def _chance_warning(measurement: Measurement, metric: str) -> Iterator[str]:
    scores = measurement.scores[metric]
    items = [example.item for example in measurement.examples]
    n_labels = len({item.label for item in items if isinstance(item, LabelItem)})
    chance = fmean(_chance(item, n_labels) for item in items)
    if not is_at_chance(scores, chance):
        return
    level = format_quantity(metric_level(scores), Unit.FRACTION)
    found = (
        f"no better than guessing ({level} against {format_quantity(chance, Unit.FRACTION)})"
        if chance > 0
        else f"never right ({metric} {level})"
    )
    yield (
        f"{measurement.workload_name}: the reference is {found}, so a drop has nothing to show; "
        f"min_reference_{metric} makes this an error"
    )


def _chance(item: object, n_labels: int) -> float:
    """Return how likely a guess is right; `n_labels` are those in the data."""
    match item:
        case ChoiceItem():
            return 1 / len(item.choices)
        case LabelItem():
            return 1 / (len(item.labels) or n_labels)
    return 0.0


def _repeat_warnings(measurement: Measurement | None) -> Iterator[str]:
    """Yield a warning if examples repeat others under ids of their own."""
    if measurement is None:
        return
    copies: dict[str, list[str]] = {}
    for example in measurement.examples:
        if example.cluster and example.cluster.startswith(COPIES):
            copies.setdefault(example.cluster, []).append(example.id)
    repeated = [ids for ids in copies.values() if len(ids) > 1]
    if repeated:
        named = " and ".join(map(ascii_safe, repeated[0][:2]))
        n_repeats, n = sum(map(len, repeated)) - len(repeated), len(measurement.examples)
        yield (
            f"{measurement.workload_name}: {format_count(n_repeats)} of {format_count(n)} examples "
            f"repeat another one {REPEATED} ({named}); those that are the same count as "
            "one cluster: leave repeats out"
        )


def _cut_warnings(measurement: Measurement | None) -> Iterator[str]:
    """Yield a warning if prompts lost their oldest part."""
    if measurement is not None and measurement.cut_prompts:
        yield (
            f"{measurement.workload_name}: {measurement.cut_prompts} of "
            f"{len(measurement.examples)} prompts are longer than the context and lost their "
            "oldest part (truncate='left')"
        )


def _output_warnings(side: Side) -> Iterator[str]:
    """Yield what the reader should know of one side's outputs."""
    measured = side.measurement
    if measured is None:
        return
    found = [*measured.warnings]
    if measured.pack_limit is not None:
        n = format_count(measured.pack_limit)
        found.append(f"memory ran out; measured in packs of at most {n} sequences")
    yield from (f"{measured.workload_name}, {side.label}: {one}" for one in found)


def _slice_warnings(budget: Budget, pair: Pair, check: CheckRecord) -> Iterator[str]:
    """Yield a line for each slice that collapses while the whole is not over the limit."""
    if budget.slice is not None or not budget.limit.is_statistical or check.outcome == "fail":
        return
    levels = Levels(alpha_pass=check.alpha_pass, alpha_fail=check.alpha_fail)
    tested = replace(check, target=Target.POPULATION.value)  # a slice is shown with its interval
    for name, verdict in collapsed(
        budget.limit, check.metric, sides=pair.measurements, levels=levels
    ):
        shown = replace(tested, slice=name, **estimated(verdict.estimate))
        yield ascii_safe(wording.collapse(shown))

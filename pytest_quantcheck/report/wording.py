"""How records are said in words: one place for every phrase that several reports share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_quantcheck.core.metric import METRICS, compares_models
from pytest_quantcheck.core.quantity import (
    Unit,
    format_count,
    format_interval,
    format_limit,
    format_quantity,
)

if TYPE_CHECKING:
    from pytest_quantcheck.core.record import CheckRecord, EnvironmentRecord
    from pytest_quantcheck.core.supplements import HolmRecord

_STATISTIC_NAMES = {
    "latency_ratio": "{metric} ratio",
    "latency_quantile": "{metric}",
    "throughput_ratio": "{metric} ratio",
    "peak_memory_ratio": "peak memory ratio",
    "peak_memory": "peak memory",
    "drop": "{metric} drop",
    "rise": "{metric} rise",
    "recovery": "{metric} recovery",
    "log_ratio": "{metric} ratio",
    "variant_level": "{metric}",
    "reference_level": "{metric} of the reference",
    "flips": "flips of {metric}",
    "harmful_flips": "harmful flips of {metric}",
    "weight_ratio": "weight memory ratio",
}

_REASONS = {
    "shown_within": "shown to be within the limit",
    "shown_over": "shown to be over the limit",
    "not_enough_evidence": "the examples show neither side of the limit",
    "too_few_examples": "too few examples to decide: a PASS takes at least 20",
    "too_few_clusters": "too few clusters to decide: a PASS takes at least 5",
    "zero_limit": "no number of examples can show a limit of 0; allow a little, such as 0.005",
    "trivial_limit": "no data could exceed this limit",
    "identical_scores": "every example scored exactly the same",
    "constant_difference": "every example differs by the same amount",
    "few_nonzero_differences": "fewer than 20 examples or clusters differ, too few for a test",
    "too_skewed": "too skewed for a PASS with so many examples: rare large ones may be missing",
    "skewed_by_one": "one example carries more than half of the difference",
    "below_noise_floor": "over the limit, but the reference may differ from itself by as much",
    "non_finite": "the variant's loss is infinite where the reference's is not",
    "on_these_examples": "a claim about these examples only, so no sampling error is involved",
    "too_few_runs": "too few runs were timed to decide",
    "coarse_clock": "the clock is too coarse: most pairs took exactly as long",
    "dependent_runs": "neighbouring runs are too much alike to count as many",
    "exact": "compared exactly, no sampling error is involved",
}

_ACRONYMS = {"ttft", "tpot", "e2e"}
_PLAIN_REASONS = {"shown_within", "shown_over", "exact"}
"""What PASS and FAIL mean by themselves."""


_PERCENTILE = re.compile(r"_(p\d+)_ms$")


def statistic_name(check: CheckRecord) -> str:
    """Return what was compared with the limit: `accuracy drop`, `TPOT p95`."""
    return _STATISTIC_NAMES[check.statistic].format(metric=metric_name(check))


def metric_name(check: CheckRecord) -> str:
    """Return a metric as tables have it; of a time also the percentile: `TPOT p95`."""
    name = check.metric.upper() if check.metric in _ACRONYMS else check.metric
    found = _PERCENTILE.search(check.keyword)
    return f"{name} {found[1]}" if found else name


def reason_text(check: CheckRecord) -> str:
    """Return why the outcome is what it is, with what is to be noted of it."""
    reason = _REASONS[check.reason]
    if check.reason == "on_these_examples" and check.stopped_early:
        reason = "a claim about these examples only"
    elif check.reason == "not_enough_evidence" and is_of_serving(check):
        reason = "the runs show neither side of the limit"
    return reason + (f"; {check.note}" if check.note else "")


def level(check: CheckRecord, value: float) -> str:
    """Return a metric's level with its unit."""
    return format_quantity(value, Unit(check.level_unit))


def value_with_interval(check: CheckRecord) -> str:
    """Return the statistic with unit and interval: `2.3 pp [1.5, 3.2]`."""
    unit = Unit(check.unit)
    shown = format_quantity(check.value, unit)
    if check.n == 0 or check.low is None or check.high is None:
        return shown
    return f"{shown} {format_interval(check.low, check.high, unit)}"


def interval_in_words(check: CheckRecord) -> str:
    """Return the statistic with its interval and the interval's level."""
    if check.target == "dataset":
        return f"{value_with_interval(check)} {these_examples(check)}"
    level_text = f" ({confidence_percent(check)} % CI)" if check.n else ""
    return value_with_interval(check) + level_text


def confidence_percent(check: CheckRecord) -> str:
    """Return the level of a check's interval: `90`."""
    return f"{100 * check.confidence_level:.10g}"


def these_examples(check: CheckRecord) -> str:
    """Return what a claim is about that is no sample's: `on these 1,200 examples`."""
    return f"on these {format_count(check.n_planned or check.n)} {noun(check)}"


def place(check: CheckRecord | HolmRecord) -> str:
    """Return the workload with the slice, if the budget is on one: `triage[refunds]`."""
    return check.workload + ("" if check.slice is None else f"[{check.slice}]")


def collapse(check: CheckRecord) -> str:
    """Return that one slice is over a limit which the whole is not shown to exceed."""
    whole = "passes" if check.outcome == "pass" else "is inconclusive"
    return (
        f"{place(check)} on {check.variant_label}: {statistic_name(check)} "
        f"{interval_in_words(check)}, n = {format_count(check.n)}: over the budget of "
        f"{limit_with_side(check)}, though the whole {whole}"
    )


def noise_floor(check: CheckRecord) -> str:
    """Return the floor in the unit of the limit, where one was measured: `0.3 pp`."""
    if check.noise_floor is None:
        return "-"
    unit = Unit(check.unit)
    is_ratio = unit is Unit.RATIO
    return f"{check.noise_floor:.5g}" if is_ratio else format_quantity(check.noise_floor, unit)


def reasons_of_the_team(check: CheckRecord) -> list[str]:
    """Return why the limit was chosen or waived, and what became of the waiver."""
    if check.waive_until is None:
        return [f"reason given: {check.budget_reason}"] if check.budget_reason else []
    state = "waived until" if check.is_waived else "the waiver expired: it held until"
    return [f"{state} {check.waive_until}: {check.budget_reason}"]


def limit_with_side(check: CheckRecord) -> str:
    """Return the limit as a condition: `<= 3.0 pp`."""
    sign = "<=" if check.bound == "upper" else ">="
    return f"{sign} {format_limit(check.limit, Unit(check.unit))}"


def remark(check: CheckRecord) -> str:
    """Return what stands behind the outcome: what would settle it, or why it is special."""
    parts = (settling(check), early_stop(check), "toothless" if check.is_toothless else "")
    return ", ".join(filter(None, parts))


def early_stop(check: CheckRecord) -> str:
    """Return that not all examples were needed: `stopped early at 352 of 2,400`."""
    if not check.stopped_early or check.n_planned is None:
        return ""
    return f"stopped early at {format_count(check.n)} of {format_count(check.n_planned)}"


def toothless(check: CheckRecord) -> str:
    """Return why a budget has no teeth, and what to do."""
    assert check.power is not None  # noqa: S101 - toothless checks know their power
    assert check.power_at is not None  # noqa: S101 - the same
    unit = Unit(check.unit)
    return (
        f"{check.keyword}={check.limit:g} of {check.variant_label} on {place(check)}: even at "
        f"{format_quantity(check.power_at, unit)} it would be red with a chance of only "
        f"{format_quantity(check.power, Unit.FRACTION)} (n = {format_count(check.n)}, "
        f"alpha {check.alpha_fail:g}); {_advice(check)}"
    )


def _advice(check: CheckRecord) -> str:
    """Return what gives a budget teeth: no number of examples, where nothing is left to lose."""
    assert check.power_at is not None  # noqa: S101 - toothless checks know their power
    is_share = check.statistic == "drop" and check.level_unit == Unit.FRACTION.value
    if is_share and check.reference_level < check.power_at:
        return (
            f"the reference has {level(check, check.reference_level)} to lose; use examples that "
            "it gets right"
        )
    more = "repeats" if is_of_serving(check) else "examples"
    return f"use more {more}, fewer budgets or a looser limit"


def settling(check: CheckRecord) -> str:
    """Return what would settle the check, or why the outcome is special; nothing for most."""
    if check.is_waived and check.outcome != "pass":
        return f"waived until {check.waive_until}"
    if check.reason == "on_these_examples":
        return these_examples(check)
    if check.reason in _PLAIN_REASONS:
        return ""
    more = more_examples(check) if check.outcome == "inconclusive" else ""
    return more or check.reason.replace("_", " ")


def more_examples(check: CheckRecord) -> str:
    """Return how many more examples would settle the check: `~2,800 more examples`."""
    if check.needed_n is None or check.needed_n <= check.n:
        return ""
    return f"~{format_count(rounded_up(check.needed_n - check.n))} more {noun(check)}"


def noun(check: CheckRecord) -> str:
    """Return what the check counts."""
    if is_of_serving(check):
        return "runs" if check.statistic == "latency_quantile" else "pairs"
    if check.are_blocks:
        return "blocks"
    return "documents" if is_of_documents(check) else "examples"


def in_clusters(check: CheckRecord) -> str:
    """Return in how many clusters the examples are, and what that costs."""
    assert check.n_clusters is not None  # noqa: S101 - asked of examples in clusters
    size = f"in {format_count(check.n_clusters)} clusters"
    if check.design_effect is None or check.design_effect <= 0:
        return size
    alone = format_count(round(check.n / check.design_effect))
    return f"{size} (design effect {check.design_effect:.3g}: they tell as much as {alone} alone)"


def is_of_documents(check: CheckRecord) -> bool:
    """Return whether examples are documents, whose tokens are predicted."""
    return check.level_unit == Unit.PERPLEXITY.value or compares_predictions(check)


def is_of_serving(check: CheckRecord) -> bool:
    """Return whether times, throughput or memory of requests were compared."""
    return check.metric in METRICS and METRICS[check.metric].is_of_serving


def is_of_memory(check: CheckRecord) -> bool:
    """Return whether that was memory."""
    return is_of_serving(check) and check.level_unit == Unit.BYTES.value


def compares_predictions(check: CheckRecord) -> bool:
    """Return whether the metric compares two models' predictions by itself."""
    return compares_models(check.metric)


def is_right_or_wrong(check: CheckRecord) -> bool:
    """Return whether each example is right or wrong, so that a change is a flip."""
    return check.metric in METRICS and METRICS[check.metric].is_correctness


def headline(environment: EnvironmentRecord) -> str:
    """Return the run in one line: model, reference, device, error rate."""
    return (
        f"quantcheck · {environment.model} · {environment.reference_label} reference · "
        f"{environment.device_name} · alpha {environment.alpha:g} over "
        f"{format_count(environment.checks_collected, 'budget')} (family {environment.family_size})"
    )


def rounded_up(count: int) -> int:
    """Round up to two significant digits: the figure is an estimate."""
    step = int(10 ** max(len(str(count)) - 2, 0))
    return -(-count // step) * step

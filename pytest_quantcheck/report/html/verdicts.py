"""The table of verdicts: a row for each budget, and how it was decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantcheck.core.quantity import Unit, format_count, format_pvalue, format_quantity
from pytest_quantcheck.report import wording
from pytest_quantcheck.report.html.intervals import Interval, interval_of
from pytest_quantcheck.report.html.texts import shown
from pytest_quantcheck.report.serving_text import describe_timing, find_timing, settling
from pytest_quantcheck.report.tokens import describe_divergence, describe_text_loss

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_quantcheck.core.record import CheckRecord, RunRecord
    from pytest_quantcheck.core.serving import LatencyRecord

_MOST = 1e9
_WORST_FIRST = ("fail", "inconclusive", "pass")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One line of how a verdict was reached."""

    term: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictRow:
    """One budget as it is shown."""

    outcome: str
    rank: int
    """For sorting: 0 is FAIL."""
    model: str
    workload: str
    variant: str
    statistic: str
    limit: str
    reference: str
    level: str
    value: str
    interval: str
    n: str
    count: int
    drawn: Interval | None
    tags: list[str]
    """What is special about it: waived, stopped early, toothless."""
    reason: str
    facts: list[Fact]

    @property
    def used(self) -> float:
        """Share of the budget used, for sorting; budgets without a scale stand last."""
        return min(max(self.drawn.share, -_MOST), _MOST) if self.drawn else -_MOST


def verdict_rows(run: RunRecord) -> list[VerdictRow]:
    """Return the rows of the table, the budgets that need attention first."""
    rows = [_row(check, find_timing(check, run.latencies)) for check in run.checks]
    return sorted(rows, key=lambda row: (row.rank, -row.used))


def _row(check: CheckRecord, timing: LatencyRecord | None) -> VerdictRow:
    value, _, interval = wording.value_with_interval(check).partition(" [")
    return VerdictRow(
        outcome=check.outcome,
        rank=_WORST_FIRST.index(check.outcome),
        model=shown(check.model),
        workload=shown(wording.place(check)) or "weights",
        variant=shown(check.variant_label),
        statistic=wording.statistic_name(check),
        limit=_sign(wording.limit_with_side(check)),
        reference=wording.level(check, check.reference_level),
        level=wording.level(check, check.variant_level),
        value=value,
        interval=f"[{interval}" if interval else "",
        n=format_count(check.n) if check.n else "",
        count=check.n,
        drawn=interval_of(check),
        tags=[*_tags(check)],
        reason=shown(wording.reason_text(check)),
        facts=[Fact(term=term, text=shown(text)) for term, text in _facts(check, timing)],
    )


def _sign(condition: str) -> str:
    return condition.replace("<=", "≤").replace(">=", "≥")


def _tags(check: CheckRecord) -> Iterator[str]:
    if check.is_waived:
        yield "waived"
    if check.stopped_early:
        yield "stopped early"
    if check.is_toothless:
        yield "toothless"
    if check.target == "dataset":
        yield "these examples only"


def _facts(check: CheckRecord, timing: LatencyRecord | None) -> Iterator[tuple[str, str]]:
    """Yield what stands behind the verdict, in the order of the argument."""
    yield "budget", f"{check.keyword}={check.limit:g}, {check.gate} gate"
    yield from (("reason", text) for text in wording.reasons_of_the_team(check))
    if timing is not None:
        yield from (("served", text) for text in describe_timing(check, timing))
    yield wording.noun(check) if check.n else "examples", "; ".join(_examples(check))
    yield "method", check.method
    yield from _pvalues(check)
    if check.n and check.low is not None:
        yield "interval", f"{wording.confidence_percent(check)} % confidence, two-sided"
    if check.noise_floor is not None:
        yield "noise floor", f"{wording.noise_floor(check)}: the reference measured twice"
    yield from _power(check)
    if more := wording.more_examples(check):
        yield "would settle it", f"{more} (80 % chance at this estimate)"
    if timing is not None:
        yield from (("would settle it", text) for text in settling(check, timing))
    yield from (("loss", text) for text in describe_text_loss(check))
    yield from (("predictions", text) for text in describe_divergence(check.divergence))
    yield from _slices(check)
    yield "test", f"{check.nodeid} ({check.path}:{check.line})"


def _examples(check: CheckRecord) -> Iterator[str]:
    if not check.n:
        yield "none: figures of memory are compared exactly"
        return
    size = f"{format_count(check.n)} {wording.noun(check)}"
    planned = check.n_planned
    yield size if planned is None else f"{size} of {format_count(planned)}, looked at as they came"
    if check.n_clusters is not None:
        yield wording.in_clusters(check)
    if "losses" in check.counts:
        count = {name: format_count(number) for name, number in check.counts.items()}
        yield f"{count['losses']} lost, {count['gains']} gained"
        yield f"{count['both']} right and {count['neither']} wrong in both"
    if check.mcnemar_p is not None:
        yield f"McNemar's p {format_pvalue(check.mcnemar_p)} (description)"
    if check.n_diverged is not None:
        yield f"{format_count(check.n_diverged)} outputs differ from the reference's"


def _pvalues(check: CheckRecord) -> Iterator[tuple[str, str]]:
    for word, pvalue, alpha in (
        ("PASS", check.p_pass, check.alpha_pass),
        ("FAIL", check.p_fail, check.alpha_fail),
    ):
        if pvalue is not None and check.is_statistical:
            sign = "≤" if pvalue <= alpha else ">"
            yield f"p for {word}", f"{format_pvalue(pvalue)} {sign} {format_pvalue(alpha)}"


def _power(check: CheckRecord) -> Iterator[tuple[str, str]]:
    if check.power is None or check.power_at is None:
        return
    gross = format_quantity(check.power_at, Unit(check.unit))
    chance = format_quantity(check.power, Unit.FRACTION)
    yield "power", f"a variant at {gross} would fail with a chance of {chance}"


def _slices(check: CheckRecord) -> Iterator[tuple[str, str]]:
    parts = [
        f"{one.slice} {format_count(one.n_worse)} of {format_count(one.n)}"
        for one in check.slices
        if one.n_worse
    ]
    if parts:
        word = "lost" if wording.is_right_or_wrong(check) else "worse"
        yield f"{word}, by slice", ", ".join(parts)

"""The text of a red test: what was found, how sure it is, and where to look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantcheck.core.quantity import format_count, format_pvalue
from pytest_quantcheck.report import wording
from pytest_quantcheck.report.gallery import Layout, render_gallery
from pytest_quantcheck.report.screen import ascii_safe, folded, inert
from pytest_quantcheck.report.serving_text import describe_timing, find_timing, settling
from pytest_quantcheck.report.tokens import describe_divergence, describe_text_loss, render_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantcheck.core.record import CheckRecord, EnvironmentRecord, SliceRecord
    from pytest_quantcheck.core.serving import LatencyRecord

_NOTABLE_P = 0.01
_NOTABLE_TIMES = 1.5


def render_failure(
    check: CheckRecord,
    environment: EnvironmentRecord,
    *,
    reproduce: str,
    layout: Layout | None = None,
    timings: Sequence[LatencyRecord] = (),
) -> str:
    """Return the text of one check that turned its test red.

    Parameters
    ----------
    check : CheckRecord
        The check.
    environment : EnvironmentRecord
        Where it was measured.
    reproduce : str
        The command that decides it again.
    layout : Layout, optional
        Width, and whether texts are shown whole; 80 columns and cut texts by default.
    timings : sequence of LatencyRecord, optional
        What the test timed.
    """
    layout = layout or Layout()
    timing = find_timing(check, timings)
    reference = f"{check.reference_label} {wording.level(check, check.reference_level)}"
    variant = wording.level(check, check.variant_level)
    facts = [
        wording.reason_text(check),
        f"reference {reference}, variant {variant}{_kind(check)}, on {environment.device_name}",
        *describe_text_loss(check),
        *(describe_timing(check, timing) if timing else ()),
        *wording.reasons_of_the_team(check),
        *_noise(check),
        *(_evidence(check) if check.n else ()),
        *describe_divergence(check.divergence),
        *_notable_slice(check),
    ]
    lines = [headline(check), *_folded(facts, layout)]
    lines += render_gallery(check, layout)
    lines += render_tokens(check.divergence, layout)
    more = wording.more_examples(check)
    settling_it = [f"{more} (80 % chance at this estimate)"] if more else []
    settling_it += settling(check, timing) if timing else []
    if settling_it:
        lines += _folded([f"would settle it: {'; '.join(settling_it)}"], layout)
    lines.append(f"  reproduce: {reproduce}")
    return "\n".join(map(inert, lines))


def headline(check: CheckRecord) -> str:
    """Return the verdict in one line: what, where, how much, against which budget."""
    where = f" on {wording.place(check)}" if check.workload else ""
    statistic = f"{wording.statistic_name(check)} {wording.interval_in_words(check)}"
    limit = wording.limit_with_side(check)
    text = f"{check.outcome.upper()}: {check.variant_label}{where}: {statistic}, budget {limit}"
    return ascii_safe(text)


def _kind(check: CheckRecord) -> str:
    """Return which figure of many runs the levels are."""
    if not wording.is_of_serving(check) or wording.is_of_memory(check):
        return ""
    is_percentile = check.statistic == "latency_quantile"
    return f" ({wording.metric_name(check).split()[-1]})" if is_percentile else " (medians)"


def _noise(check: CheckRecord) -> list[str]:
    """Return what the reference differs from itself by, where it was measured."""
    if check.noise_floor is None:
        return []
    return [f"noise floor {wording.noise_floor(check)}: the reference measured twice"]


def _evidence(check: CheckRecord) -> list[str]:
    size = f"n = {format_count(check.n)} {wording.noun(check)}"
    if check.n_clusters is not None:
        size += f" {wording.in_clusters(check)}"
    if "losses" in check.counts:
        count = {name: format_count(number) for name, number in check.counts.items()}
        size += (
            f", {count['losses']} lost and {count['gains']} gained "
            f"({count['both']} right and {count['neither']} wrong in both)"
        )
    if "over" in check.counts:
        size += f", {format_count(check.counts['over'])} over the limit"
    if stop := wording.early_stop(check):
        size += f"; {stop}"
    if check.mcnemar_p is not None:
        size += f", McNemar's {_equation(check.mcnemar_p)}"
    tests = [(check.p_fail, check.alpha_fail, "FAIL")]
    if check.outcome == "inconclusive":  # neither was reached
        tests.append((check.p_pass, check.alpha_pass, "PASS"))
    pvalues = (
        f"{_equation(p)} against {format_pvalue(alpha)} for {side}"
        for p, alpha, side in tests
        if p is not None
    )
    return [size, ", ".join((check.method, *pvalues))]


def _equation(pvalue: float) -> str:
    shown = format_pvalue(pvalue)
    return f"p {shown}" if shown.startswith("<") else f"p = {shown}"


def _notable_slice(check: CheckRecord) -> list[str]:
    """Return a line on the slice that has far more than its share of what got worse."""
    found = (one for one in check.slices if _is_notable(one, check))
    return [
        f"{format_count(one.n_worse)} of the {format_count(check.n_worse)} "
        f"{'lost' if wording.is_right_or_wrong(check) else 'that got worse'} are in slice "
        f"{one.slice!r}, {format_count(one.n)} of the {format_count(check.n)} {wording.noun(check)}"
        for one in list(found)[:1]
    ]


def _is_notable(one: SliceRecord, check: CheckRecord) -> bool:
    """Whether the slice lost far more often than the whole, and not by chance."""
    is_often = one.n_worse * check.n >= _NOTABLE_TIMES * check.n_worse * one.n
    return is_often and one.p_concentrated * len(check.slices) <= _NOTABLE_P


def _folded(facts: Sequence[str], layout: Layout) -> list[str]:
    return [line for fact in facts for line in folded(fact, layout.width, indent=2)]

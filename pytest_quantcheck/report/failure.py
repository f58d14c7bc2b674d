"""The text of a red test: what was found, how sure it is, and where to look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantcheck.core.quantity import format_count, format_pvalue
from pytest_quantcheck.report import wording

if TYPE_CHECKING:
    from pytest_quantcheck.core.record import CheckRecord, EnvironmentRecord, ExampleRecord

_TEXT_WIDTH = 110


def render_failure(check: CheckRecord, environment: EnvironmentRecord, *, reproduce: str) -> str:
    """Return the text of one check that turned its test red."""
    where = f" on {wording.place(check)}" if check.workload else ""
    statistic = f"{wording.statistic_name(check)} {wording.interval_in_words(check)}"
    reference = f"{check.reference_label} {wording.level(check, check.reference_level)}"
    variant = wording.level(check, check.variant_level)
    limit = wording.limit_with_side(check)
    lines = [
        f"{check.outcome.upper()}: {check.variant_label}{where}: {statistic}, budget {limit}",
        f"  {wording.reason_text(check)}" + (f"; {check.note}" if check.note else ""),
        f"  reference {reference}, variant {variant}, on {environment.device_name}",
    ]
    lines += [f"  {line}" for line in wording.reasons_of_the_team(check)]
    if check.n:
        lines += _evidence(check)
    if check.worst:
        lines += ["  changed most:", *_gallery(check)]
    if more := wording.more_examples(check):
        lines.append(f"  would settle it: {more} (80 % chance at this estimate)")
    lines.append(f"  reproduce: {reproduce}")
    return "\n".join(lines)


def _evidence(check: CheckRecord) -> list[str]:
    size = f"n = {format_count(check.n)} {wording.noun(check)}"
    if check.n_clusters is not None:
        size += f" in {format_count(check.n_clusters)} clusters"
    if "losses" in check.counts:
        size += (
            f", {check.counts['losses']} lost and {check.counts['gains']} gained "
            f"({check.counts['both']} right and {check.counts['neither']} wrong in both)"
        )
    if check.p_fail is None:
        return [f"  {size}", f"  {check.method}"]
    pvalue = f"p = {format_pvalue(check.p_fail)} against {format_pvalue(check.alpha_fail)}"
    return [f"  {size}", f"  {check.method}, {pvalue} for FAIL"]


def _gallery(check: CheckRecord) -> list[str]:
    return [line for example in check.worst for line in _example(example)]


def _example(example: ExampleRecord) -> list[str]:
    tag = f" [{_short(example.slice)}]" if example.slice else ""
    before = _side(example, example.reference_value, example.reference_margin)
    after = _side(example, example.variant_value, example.variant_margin)
    lines = [
        f"    {_short(example.example)}{tag}: {_short(example.prompt)}",
        f"      reference {before}{_quoted(example.reference_output)}",
        f"      variant   {after}{_quoted(example.variant_output)}",
    ]
    return [*lines, f"      expected  {_quoted(example.expected)}"] if example.expected else lines


def _side(example: ExampleRecord, value: float, margin: float | None) -> str:
    if not example.expected and margin is not None:
        return f"{value:.3f} nats per token "
    if margin is not None:
        return f"margin {margin:+.2f} nats "
    return "" if example.expected else f"score {value:g} "


def _quoted(text: str) -> str:
    return ascii_safe(f'"{_short(text)}"')


def _short(text: str) -> str:
    """Return `text` on one line, cut to the width of the report."""
    line = " ".join(text.split())
    # Cut between characters: not every language puts spaces between words.
    return ascii_safe(line if len(line) <= _TEXT_WIDTH else line[: _TEXT_WIDTH - 2] + " …")


def ascii_safe(text: str) -> str:
    """Return `text` with control characters shown, so that data cannot drive the terminal."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)

"""The terminal summary."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_quantcheck.core.quantity import format_count
from pytest_quantcheck.core.verdict import Outcome
from pytest_quantcheck.report.asides import also_failing, noise, reused
from pytest_quantcheck.report.cheapest import cheapest_line
from pytest_quantcheck.report.cliff import cliff_lines
from pytest_quantcheck.report.screen import display_width, folded, inert
from pytest_quantcheck.report.table import Line, check_table
from pytest_quantcheck.report.variant_table import variant_table
from pytest_quantcheck.report.wording import headline

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_quantcheck.core.record import EnvironmentRecord, RunRecord
    from pytest_quantcheck.report.formats import View

_COLOURS = {"pass": 32, "fail": 31, "inconclusive": 33}
_BOLD = 1
_BETWEEN = " · "
_RULES = len("=  =")


def render_terminal(run: RunRecord, view: View) -> str:
    """Return all that pytest prints of a run at its end."""
    lines: list[str] = []
    for environment, part in by_model(run):
        title, *rest = title_lines(environment, width=view.width)
        lines += [_painted(text, _BOLD, view) for text in (_ruled(title, view.width), *rest)]
        lines += [
            _painted(line.text, _COLOURS.get(line.outcome or ""), view)
            for line in render_summary(part, width=view.width)
        ]
    if not run.environments:
        lines += [inert(f"warning: {warning}") for warning in run.warnings]
    return "\n".join([*lines, render_final(run)])


def title_lines(environment: EnvironmentRecord, *, width: int) -> list[str]:
    """Return the headline: as much of it as a title has room for, and the rest in lines below."""
    text = inert(headline(environment))
    title, *rest = text.split(_BETWEEN) if display_width(text) > width - _RULES else [text]
    while rest and display_width(f"{title}{_BETWEEN}{rest[0]}") <= width - _RULES:
        title += _BETWEEN + rest.pop(0)
    return [title, *folded(_BETWEEN.join(rest), width)]


def _ruled(text: str, width: int) -> str:
    """Return `text` between lines, as pytest writes it."""
    side = "=" * max((width - display_width(text) - 2) // 2, 1)
    return f"{side} {text} {side}"


def _painted(text: str, colour: int | None, view: View) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m" if view.is_coloured and colour else text


def render_summary(run: RunRecord, *, width: int) -> list[Line]:
    """Return the lines between the summary's title and the final line."""
    return [replace(line, text=inert(line.text)) for line in _lines(run, width)]


def _lines(run: RunRecord, width: int) -> list[Line]:
    lines = [*check_table(run.checks, width=width)]
    lines += [Line(text=f" {also_failing(holm)}", outcome="fail") for holm in run.also_failing]
    lines += [Line(text=f" {noise(found)}") for found in run.noise]
    if variants := variant_table(run, width=width):
        lines += [Line(text=""), *variants]
    for text in filter(None, (*cliff_lines(run), cheapest_line(run))):
        lines += [Line(text=row) for row in folded(text, width)]
    if text := reused(run.measurements):
        lines.append(Line(text=f" {text}"))
    lines += [Line(text=f" warning: {warning}") for warning in run.warnings]
    return lines


def by_model(run: RunRecord) -> Iterator[tuple[EnvironmentRecord, RunRecord]]:
    """Yield the run of each model; warnings stand with the last one."""
    for position, environment in enumerate(run.environments, start=1):
        is_last = position == len(run.environments)
        yield (
            environment,
            replace(
                run,
                environment=environment,
                checks=[check for check in run.checks if check.model == environment.model],
                also_failing=[holm for holm in run.also_failing if holm.model == environment.model],
                noise=[noise for noise in run.noise if noise.model == environment.model],
                measurements=[m for m in run.measurements if m.model == environment.model],
                latencies=[one for one in run.latencies if one.model == environment.model],
                warnings=run.warnings if is_last else [],
            ),
        )


def render_final(run: RunRecord) -> str:
    """Return the last line: how many budgets ended how."""
    return render_counts(
        [check.outcome for check in run.checks],
        n_waived=sum(check.is_waived and check.is_red for check in run.checks),
        n_toothless=sum(check.is_toothless for check in run.checks),
    )


def render_counts(outcomes: Sequence[str], *, n_waived: int = 0, n_toothless: int = 0) -> str:
    """Return how many checks ended how; how many red ones are waived, how many have no teeth.

    Examples
    --------
    >>> render_counts(["pass", "fail", "pass"])
    'quantcheck: 3 budgets decided: 2 pass, 1 fail, 0 inconclusive'
    >>> render_counts(["fail"], n_waived=1)
    'quantcheck: 1 budget decided: 0 pass, 1 fail, 0 inconclusive; 1 waived'
    >>> render_counts(["pass"], n_toothless=1)
    'quantcheck: 1 budget decided: 1 pass, 0 fail, 0 inconclusive; 1 toothless'
    >>> render_counts([])
    'quantcheck: no budget was decided'
    """
    if not outcomes:
        return "quantcheck: no budget was decided"
    counts = Counter(outcomes)
    parts = ", ".join(f"{counts[outcome.value]} {outcome.value}" for outcome in Outcome)
    asides = ((n_waived, "waived"), (n_toothless, "toothless"))
    more = "".join(f"; {count} {word}" for count, word in asides if count)
    return f"quantcheck: {format_count(len(outcomes), 'budget')} decided: {parts}{more}"

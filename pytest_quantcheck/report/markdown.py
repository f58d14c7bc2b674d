"""A run in GitHub's Markdown: for step summaries, comments and wikis."""

from __future__ import annotations

import html
import re
import shlex
from typing import TYPE_CHECKING

from pytest_quantcheck.report import table, variant_table
from pytest_quantcheck.report.asides import also_failing, noise, reused, text_losses
from pytest_quantcheck.report.cheapest import cheapest_line
from pytest_quantcheck.report.cliff import cliff_lines
from pytest_quantcheck.report.failure import headline as verdict
from pytest_quantcheck.report.failure import render_failure
from pytest_quantcheck.report.gallery import Layout
from pytest_quantcheck.report.screen import ascii_safe, cut_middle
from pytest_quantcheck.report.serving import serving_notes
from pytest_quantcheck.report.terminal import by_model, render_final
from pytest_quantcheck.report.wording import headline

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from pytest_quantcheck.core.record import CheckRecord, EnvironmentRecord, RunRecord
    from pytest_quantcheck.report.formats import View

MOST_BYTES = 2**20
"""GitHub refuses a step summary that is larger."""
_CELL, _LINE = 200, 1_000
"""Longest text of a cell and of a line, in columns."""
_COLUMNS = 100
"""Width of a failure's text."""
_MEANINGFUL = re.compile(r"[`*_\[\]~#$]|:(?=//|\w)")
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "\\": "&#92;"})
_MENTION = re.compile(r"(?<!\w)@(?=\w)")
_UNSEEN = "\u2060"
"""Word joiner: after `@` it keeps data from mentioning people."""
_RED = {"FAIL", "INCONCLUSIVE"}


def render_markdown(run: RunRecord, view: View) -> str:
    """Return the whole run, however large."""
    del view
    return "\n".join(_blocks(run))


def step_summary(run: RunRecord, *, room_bytes: int) -> str:
    """Return as much of the run, from its beginning, as fits into `room_bytes` in UTF-8."""
    blocks = list(_blocks(run))
    sizes = [len(block.encode()) + 1 for block in blocks]
    if sum(sizes) <= room_bytes:
        return "\n".join(blocks) + "\n"
    note = "\n_The rest is left out: a step summary holds 1 MiB._\n"
    kept, used = 0, len(note)
    while used + sizes[kept] <= room_bytes:
        used += sizes[kept]
        kept += 1
    return "\n".join([*blocks[:kept], note]) if kept else ""


def escape(text: str, width: int = _LINE) -> str:
    r"""Return `text` so that Markdown shows it as it stands, in one line.

    Examples
    --------
    >>> escape("a|b *c* <img> [d](e)")
    'a&#124;b \\*c\\* &lt;img&gt; \\[d\\](e)'
    """
    plain = cut_middle(text, width, " … ").translate(_ENTITIES)
    shown = _MEANINGFUL.sub(r"\\\g<0>", plain.replace("&#", "\0"))
    shown = shown.replace("\0", "&#").replace("www.", r"www\.")
    return _MENTION.sub(f"@{_UNSEEN}", shown)


def _blocks(run: RunRecord) -> Iterator[str]:
    """Yield what stands or falls together: a line, or the text of a failure."""
    yield f"## {escape(render_final(run))}"
    for environment, part in by_model(run):
        yield ""
        yield escape(headline(environment))
        yield from _of_model(part)
    for environment, part in by_model(run):
        for check in part.checks:
            if check.is_red:
                yield _failure(check, environment, part)
    if not run.environments:
        yield from _list([f"warning: {text}" for text in run.warnings])


def _of_model(run: RunRecord) -> Iterator[str]:
    if run.checks:
        yield from _table([row.cells for row in table.check_rows(run.checks)], table.RIGHT)
    yield from _list([*map(also_failing, run.also_failing), *map(noise, run.noise)])
    if rows := variant_table.variant_rows(run):
        yield from _table(rows, variant_table.RIGHT)
        for shape in variant_table.shape_rows(run, [row["variant"] for row in rows]):
            yield from _table(shape, variant_table.RIGHT)
    losses = text_losses(run.measurements)
    lines = (*losses, *cliff_lines(run), cheapest_line(run), reused(run.measurements))
    warnings = (f"warning: {text}" for text in run.warnings)
    yield from _list([*serving_notes(run), *filter(None, lines), *warnings])


def _table(rows: Sequence[dict[str, str]], right: Collection[str]) -> Iterator[str]:
    columns = [*rows[0]]
    yield ""
    yield _row([escape(column.strip(), _CELL) for column in columns])
    yield _row(["---:" if column.strip() in right else "---" for column in columns])
    for row in rows:
        yield _row([_cell(row[column]) for column in columns])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return f"**{text}**" if text in _RED else escape(text, _CELL)


def _list(lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield ""
    for line in lines:
        yield f"- {escape(line)}"


def _failure(check: CheckRecord, environment: EnvironmentRecord, run: RunRecord) -> str:
    """Return the text of a failure behind its first line; raw HTML knows no Markdown."""
    family = f"--quant-family-size={environment.family_size}"
    text = render_failure(
        check,
        environment,
        reproduce=shlex.join(["pytest", check.nodeid, *environment.options, family]),
        layout=Layout(width=_COLUMNS),
        timings=run.latencies,
    )
    lines = [html.escape(ascii_safe(line)) for line in text.split("\n")]
    title = html.escape(cut_middle(verdict(check), _LINE, " … "))
    opened = f"\n<details><summary>{title}</summary>\n\n<pre>"
    return "\n".join([opened, *lines, "</pre>\n\n</details>"])

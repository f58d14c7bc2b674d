"""How the model broke: the examples that changed most, reference and variant side by side."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from pytest_quantcheck.core.metric import METRICS
from pytest_quantcheck.core.quantity import format_count
from pytest_quantcheck.core.redaction import REDACTED
from pytest_quantcheck.report import wording
from pytest_quantcheck.report.excerpt import Excerpt, whole, windows
from pytest_quantcheck.report.screen import (
    ascii_safe,
    cells,
    cut_middle,
    display_width,
    marks_of,
    pad,
    text_of,
    wrap,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantcheck.core.record import CheckRecord, ExampleRecord

_WITHOUT_ANSWERS = {"json_valid", "regex_match"}
"""Metrics that judge an output by its form: the accepted answers have no say."""
_SIDE_BY_SIDE_FROM = 100
"""Columns from which on long texts stand beside each other."""
_INDENT = "      "
_SEPARATOR = " | "
_LABEL_COLUMNS = 10
_PROMPT_LINES = 2
_SLACK = 16
"""Columns left empty by lines that break between words."""
_OUTPUT_LINES = 3
_LEAST_COLUMNS = 20
_EDGE = "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How much room there is, and how much is to be told."""

    width: int = 80
    """Columns of the terminal."""
    is_whole: bool = False
    """Show texts uncut, as under `-vv`."""

    @property
    def columns(self) -> int:
        """Columns behind the indentation."""
        return max(self.width - len(_INDENT), _LABEL_COLUMNS + _LEAST_COLUMNS)


def render_gallery(check: CheckRecord, layout: Layout) -> list[str]:
    """Return the lines on the examples of a check that changed most; none if none is known."""
    if not check.worst:
        return []
    blocks = [line for example in check.worst for line in _example(check, example, layout)]
    return [f"  {_title(check)}", *_parting(check), *blocks]


def _parting(check: CheckRecord) -> list[str]:
    """Return how many outputs differ, right or wrong, and from where on."""
    if not check.n_diverged or check.mean_first_divergence is None:
        return []
    differ = f"{format_count(check.n_diverged)} of {format_count(check.n)} differ"
    return [f"    {differ}, on average from token {check.mean_first_divergence + 1:.1f} on"]


def _title(check: CheckRecord) -> str:
    """Return what is shown out of how many: `worst flips, 5 of 97 lost and 1 of 18 gained`."""
    words = {True: ("lost", "gained"), False: ("that got worse", "that got better")}
    shown = [sum(one.is_worse for one in check.worst), check.n_worse]
    gained = [len(check.worst) - shown[0], check.n_better]
    worse, better = words[wording.is_right_or_wrong(check)]
    parts = [
        f"{count} of {format_count(total)} {word}"
        for (count, total), word in ((shown, worse), (gained, better))
        if count
    ]
    noun = "flips" if wording.is_right_or_wrong(check) else wording.noun(check)
    is_redacted = check.worst[0].prompt == REDACTED
    return f"worst {noun}, {' and '.join(parts)}{' (texts redacted)' * is_redacted}:"


def _example(check: CheckRecord, example: ExampleRecord, layout: Layout) -> list[str]:
    head = f"    {ascii_safe(example.example)}"
    head += f" [{ascii_safe(example.slice)}]" if example.slice else ""
    change = f"  {_change(check, example)}"
    head = cut_middle(head, max(layout.width - display_width(change), _LEAST_COLUMNS), _EDGE)
    if example.prompt == REDACTED:
        return [head + change]
    body = _prompt(example.prompt, layout)
    if example.fields:
        body += [text_of(line) for line in wrap(cells(fields_text(example)), layout.columns)]
    if not wording.is_of_documents(check):
        body += _expected(check, example, layout) + _answers(example, layout)
    return [head + change, *((_INDENT + line).rstrip() for line in body)]


def fields_text(example: ExampleRecord) -> str:
    """Return what the data says besides: `level: 3, source: faq`."""
    return ", ".join(f"{name}: {' '.join(text.split())}" for name, text in example.fields.items())


def _change(check: CheckRecord, example: ExampleRecord) -> str:
    before, after = example.reference_value, example.variant_value
    if wording.compares_predictions(check):
        return f"{check.metric} {wording.level(check, after)}"
    if wording.is_of_documents(check):
        per = METRICS[check.metric].per
        return f"{before:.3f} -> {after:.3f} nats per {per} ({after - before:+.3f})"
    at = example.first_divergence
    parting = "" if at is None else f", first differs at token {format_count(at + 1)}"
    if not wording.is_right_or_wrong(check) or not {before, after} <= {0.0, 1.0}:
        return f"{check.metric} {before:g} -> {after:g}{parting}"
    word = ("lost" if example.is_worse else "gained") + parting
    if example.reference_margin is None or example.variant_margin is None:
        return word
    return f"{word}, margin {example.reference_margin:+.2f} -> {example.variant_margin:+.2f} nats"


def _prompt(prompt: str, layout: Layout) -> list[str]:
    if layout.is_whole:
        return [text_of(line) for line in wrap(cells(prompt), layout.columns)]
    line = " ".join(prompt.split())
    mark = f" {_EDGE} -vv shows all {format_count(len(prompt))} characters {_EDGE} "
    room = _PROMPT_LINES * layout.columns - _SLACK
    short = cut_middle(line, max(room, len(mark) + _LEAST_COLUMNS), mark)
    return [text_of(part) for part in wrap(cells(short), layout.columns)]


def _expected(check: CheckRecord, example: ExampleRecord, layout: Layout) -> list[str]:
    text = example.expected
    if not text or check.metric in _WITHOUT_ANSWERS:
        return []
    room = layout.columns - _LABEL_COLUMNS - len('""')
    mark = f" {_EDGE} -vv shows all {format_count(len(text))} characters {_EDGE} "
    shown = text if layout.is_whole else cut_middle(text, room, mark)
    return _flat(_rows("expected", Excerpt(text=shown), layout.columns))


def _answers(example: ExampleRecord, layout: Layout) -> list[str]:
    texts = example.reference_output, example.variant_output
    half = (layout.columns - len(_SEPARATOR)) // 2
    is_beside = layout.width >= _SIDE_BY_SIDE_FROM or _fit(texts, half)
    columns = half if is_beside else layout.columns
    room = _OUTPUT_LINES * (1 + is_beside) * (columns - _LABEL_COLUMNS) - len('"……"')
    pair = whole(*texts) if layout.is_whole else windows(*texts, room)
    rows = _rows("reference", pair.reference, columns), _rows("variant", pair.variant, columns)
    lines = _beside(*rows) if is_beside else _flat([*rows[0], *rows[1]])
    if pair.first_difference is not None:
        rest = cells(_rest(texts, pair.first_difference))
        lines += map(text_of, wrap(rest, layout.columns))
    return lines


def _fit(texts: tuple[str, str], columns: int) -> bool:
    """Whether each text fits into one line behind its label."""
    room = columns - _LABEL_COLUMNS - len('""')
    return all(display_width(ascii_safe(text[:columns])) <= room for text in texts)


def _rest(texts: tuple[str, str], at: int) -> str:
    lengths = " and ".join(format_count(len(text)) for text in texts)
    return f"they part at character {format_count(at + 1)}; -vv shows all {lengths} characters"


def _rows(label: str, excerpt: Excerpt, columns: int) -> list[tuple[str, str]]:
    """Return the lines of a text behind its label, each with the marks that stand under it."""
    rows = []
    for line in wrap(excerpt.row, columns - _LABEL_COLUMNS):
        marks = marks_of(line)
        under = " " * _LABEL_COLUMNS + marks if marks else ""
        rows.append((pad(label, _LABEL_COLUMNS) + text_of(line), under))
        label = ""
    return rows


def _flat(rows: Sequence[tuple[str, str]]) -> list[str]:
    return [line for row in rows for line in row if line]


def _beside(left: Sequence[tuple[str, str]], right: Sequence[tuple[str, str]]) -> list[str]:
    """Return rows beside each other: text beside text, marks under both."""
    columns = max(display_width(text) for text, _ in left)
    pairs = zip_longest(left, right, fillvalue=("", ""))
    return [
        pad(one, columns) + _SEPARATOR + other
        for (text, marks), (other_text, other_marks) in pairs
        for one, other in ((text, other_text), (marks, other_marks))
        if one or other
    ]

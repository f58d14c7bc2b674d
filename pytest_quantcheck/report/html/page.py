"""The page: templates filled with what records say, with nothing to load from anywhere."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pytest_quantcheck.core.quantity import format_count
from pytest_quantcheck.report import wording
from pytest_quantcheck.report.asides import also_failing, noise
from pytest_quantcheck.report.cheapest import cheapest_line
from pytest_quantcheck.report.cliff import cliff_lines
from pytest_quantcheck.report.html import frontier, intervals, predictions
from pytest_quantcheck.report.html.cards import gallery_of
from pytest_quantcheck.report.html.machine import machines, measurement_rows
from pytest_quantcheck.report.html.serving import serving_legend, serving_rows
from pytest_quantcheck.report.html.texts import NONE, shown
from pytest_quantcheck.report.html.verdicts import verdict_rows
from pytest_quantcheck.report.terminal import by_model

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from pytest_quantcheck.core.examples import ExamplesRecord
    from pytest_quantcheck.core.record import RunRecord

_HERE = Path(__file__).parent


def render_html(run: RunRecord, examples: Mapping[str, ExamplesRecord]) -> str:
    """Return the run as one page of HTML that needs no network.

    Parameters
    ----------
    run : RunRecord
        The run.
    examples : mapping of str to ExamplesRecord
        Its per-example records by key; where there are none, the page shows the examples that the
        run itself names.

    Notes
    -----
    Text of models and data is escaped, and what has no shape of its own is written out. The page's
    policy admits its own script and style by their digests, and no address at all.
    """
    templates = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = (
        (_HERE / "assets" / name).read_text(encoding="utf-8") for name in ("page.css", "page.js")
    )
    return templates.get_template("page.html.j2").render(
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - the same
        policy=(
            f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; "
            f"script-src '{_digest(script)}'; base-uri 'none'; form-action 'none'"
        ),
        **_content(run, examples),
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _content(run: RunRecord, examples: Mapping[str, ExamplesRecord]) -> dict[str, Any]:
    """Return what the templates show."""
    rows, gallery = verdict_rows(run), gallery_of(run, examples)
    counts = Counter(check.outcome for check in run.checks)
    return {
        "title": ", ".join(shown(one.model) for one in run.environments) or "no model",
        "started": datetime.fromisoformat(run.started).strftime("%d %B %Y, %H:%M UTC").lstrip("0"),
        "machines": machines(run),
        "counts": {outcome: counts[outcome] for outcome in ("fail", "inconclusive", "pass")},
        "sentence": _sentence(run, counts),
        "conclusions": [shown(text) for text in _conclusions(run)],
        "rows": rows,
        "percent": wording.confidence_percent(run.checks[0]) if run.checks else "90",
        "has_models": len(run.environments) > 1,
        "forest": intervals,
        "sizes": frontier.size_panels(run),
        "times": frontier.time_panels(run),
        "panel": frontier,
        "serving": serving_rows(run.latencies),
        "serving_legend": serving_legend(run.latencies),
        "figures": predictions.figures(run),
        "spreads": predictions.spreads(run, examples),
        "strip": predictions,
        "tokens": predictions.worst_tokens(run),
        "n_cards": gallery.n_cards,
        "n_changed": gallery.n_changed,
        "cards": Markup(gallery.data),  # noqa: S704 - escaped there
        "holm": [shown(also_failing(one)) for one in run.also_failing],
        "noise": [shown(noise(one)) for one in run.noise],
        "warnings": [shown(one) for one in run.warnings],
        "measured": measurement_rows(run),
        "redact": next((one.redact for one in run.environments if one.redact != "off"), "off"),
        "count": format_count,
        "none_shown": NONE,
    }


def _conclusions(run: RunRecord) -> Iterator[str]:
    """Yield what the budgets of each model together show."""
    for environment, part in by_model(run):
        about = f"{environment.model}: " if len(run.environments) > 1 else ""
        mine = replace(part, environment=environment)
        texts = (cheapest_line(mine), *cliff_lines(mine))
        yield from (about + text.strip() for text in texts if text)


def _sentence(run: RunRecord, counts: Mapping[str, int]) -> str:
    """Return the outcome of the run in one sentence."""
    n = len(run.checks)
    if not n:
        return "No budget was decided."
    if counts["fail"]:
        failed = f"{counts['fail']} of {format_count(n, 'budget')}"
        verb = "is" if counts["fail"] == 1 else "are"
        rest = f"; {counts['inconclusive']} undecided" if counts["inconclusive"] else ""
        return f"{failed} {verb} shown to be exceeded{rest}."
    if counts["inconclusive"]:
        kept = f"{counts['pass']} of {format_count(n, 'budget')}"
        return f"{kept} shown to be kept; {counts['inconclusive']} need more evidence."
    return f"All {n} budgets are shown to be kept." if n > 1 else "The budget is shown to be kept."

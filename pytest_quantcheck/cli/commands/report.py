"""Show a run again, in any format, from what `pytest --quant-json=run.json` wrote.

Of a run that was killed `run.jsonl` shows what was decided before.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_quantcheck.cli.command import Answer
from pytest_quantcheck.core.redaction import Redact, redacted_examples, redacted_run
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.report.formats import FORMATS, View, render

if TYPE_CHECKING:
    import argparse

SUMMARY = "show a run again, in any format"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the subcommand takes."""
    parser.add_argument(
        "run", type=Path, metavar="RUN", help="run.json, or the run.jsonl of a run that was killed"
    )
    known = "; ".join(f"{name}: {one.summary}" for name, one in FORMATS.items())
    parser.add_argument("--format", choices=FORMATS, default="terminal", help=f"{known} [terminal]")
    parser.add_argument(
        "--html", dest="format", action="store_const", const="html", help="as --format=html"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write there [stdout]")
    parser.add_argument(
        "--redact",
        choices=[one.value for one in Redact],
        default=Redact.OFF.value,
        help="leave out texts, or all that tells examples apart, where the run did not [off]",
    )
    parser.add_argument("--width", type=int, metavar="COLUMNS", help="[that of the terminal]")
    parser.add_argument("--color", choices=("auto", "yes", "no"), default="auto", help="[auto]")


def run(arguments: argparse.Namespace) -> Answer:
    """Return the run as text, or write it.

    Raises
    ------
    UsageError
        The run cannot be read, or the output not be written.
    """
    if arguments.width is not None and arguments.width < 1:
        raise UsageError(f"--width={arguments.width}: expected a whole number, at least 1")
    from pytest_quantcheck.cli.runs import read_run
    from pytest_quantcheck.report.findings import folder_in_repository

    saved, redact = read_run(arguments.run), Redact(arguments.redact)
    view = View(
        width=arguments.width or shutil.get_terminal_size().columns,
        is_coloured=_is_coloured(arguments),
        examples={key: redacted_examples(one, redact) for key, one in saved.examples.items()},
        folder=folder_in_repository(Path.cwd(), os.environ),
    )
    text = render(arguments.format, redacted_run(saved.run, redact), view)
    if arguments.output is None:
        return Answer(text=text)
    try:
        arguments.output.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"--output={arguments.output}: {error.strerror}; expected a file that can be written"
        ) from error
    return Answer(text="")


def _is_coloured(arguments: argparse.Namespace) -> bool:
    if arguments.color != "auto":
        return bool(arguments.color == "yes")
    is_plain = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return arguments.output is None and sys.stdout.isatty() and not is_plain

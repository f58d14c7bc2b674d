"""Runs as `pytest --quant-json` left them: records, and what every example scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantcheck.core.examples import unpack
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.report.json import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_quantcheck.core.examples import ExamplesRecord
    from pytest_quantcheck.core.record import RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedRun:
    """A run, read from its files."""

    run: RunRecord
    examples: Mapping[str, ExamplesRecord]
    """Per-example records by key; empty where the run wrote none."""


def read_run(path: Path) -> SavedRun:
    """Return the run at `path`, with the per-example records beside it.

    Raises
    ------
    UsageError
        A file is missing, is something else, or does not belong to the run.
    """
    try:
        text = _read(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: expected JSON in UTF-8, found other bytes: {error}") from error
    run = read_json(text, place=str(path))
    if run.examples is None:
        return SavedRun(run=run, examples={})
    beside = path.parent / run.examples.path
    examples = unpack(_read(beside), sha256=run.examples.sha256, place=str(beside))
    return SavedRun(run=run, examples=examples)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path}: {error.strerror}; expected a file that pytest --quant-json=run.json writes, "
            "the run's own or the one beside it"
        ) from error

"""Runs as `pytest --quant-json` left them: records, and what every example scored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_quantcheck.core.examples import AlteredError, read_line, unpack
from pytest_quantcheck.core.gather import gather
from pytest_quantcheck.core.journal import is_journal, read_journal
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.report.json import read_json
from pytest_quantcheck.report.wording import place
from pytest_quantcheck.stats.holm import also_failing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_quantcheck.core.examples import ExamplesRecord
    from pytest_quantcheck.core.record import CheckRecord, RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedRun:
    """A run, read from its files."""

    run: RunRecord
    examples: Mapping[str, ExamplesRecord]
    """Per-example records by key; empty where the run wrote none."""
    altered: str = ""
    """Why they are not the run's own, where that is no obstacle; empty if they are."""


def read_run(path: Path, *, takes_altered: bool = False) -> SavedRun:
    """Return the run at `path`, with its per-example records.

    Parameters
    ----------
    path : Path
        `run.json`, or the `run.jsonl` that a run leaves which was killed.
    takes_altered : bool
        Whether per-example records that have changed since are read as they are.

    Raises
    ------
    UsageError
        A file is missing, is something else, or does not belong to the run.
    """
    try:
        text = _read(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: expected JSON in UTF-8, found other bytes: {error}") from error
    if is_journal(text):
        return _under_way(text, place=str(path))
    run = read_json(text, place=str(path))
    if run.examples is None:
        return SavedRun(run=run, examples={})
    beside = path.parent / run.examples.path
    data, sha256 = _read(beside), run.examples.sha256
    try:
        return SavedRun(run=run, examples=unpack(data, sha256=sha256, place=str(beside)))
    except AlteredError as error:
        if not takes_altered:
            raise
        found = unpack(data, sha256=None, place=str(beside))
        return SavedRun(run=run, examples=found, altered=str(error))


def name_of(check: CheckRecord) -> str:
    """Return what tells a check from all others of its run."""
    return f"{check.nodeid}: {check.keyword}" + (f" on {place(check)}" if check.workload else "")


def _under_way(text: str, *, place: str) -> SavedRun:
    """Return what is known of a run that did not end."""
    found = read_journal(text, place=place)
    run = gather(found.reported, started=found.started)
    n = len(found.reported)
    said = f"the run did not end: {n} {'test was' if n == 1 else 'tests were'} decided before"
    holm = also_failing(run.checks, run.environments)
    return SavedRun(
        run=replace(run, also_failing=holm, warnings=[*run.warnings, said]),
        examples=dict(map(read_line, found.examples)),
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        journal = path.with_name(f"{path.name.removesuffix('.json')}.jsonl")
        is_open = path.suffix == ".json" and journal.is_file()
        hint = f"; the run did not end, or not yet: name {journal}" if is_open else ""
        raise UsageError(
            f"{path}: {error.strerror}; expected a file that pytest --quant-json=run.json writes, "
            f"the run's own or the one beside it{hint}"
        ) from error

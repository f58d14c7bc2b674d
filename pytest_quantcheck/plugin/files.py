"""The files that a run was asked for, written at its end, each replaced as a whole."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_quantcheck.core.examples import pack, read_line
from pytest_quantcheck.core.supplements import FileRecord
from pytest_quantcheck.report.json import render_json

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from pytest_quantcheck.core.record import RunRecord
    from pytest_quantcheck.plugin.journal import Journalist
    from pytest_quantcheck.plugin.settings import Settings


class Files:
    """Writes what the settings ask for; a file that cannot be written keeps no other from it.

    Parameters
    ----------
    settings : Settings
        What is written, and where.
    journal : Journalist
        The run as far as it came, on disk until it is written as a whole.
    """

    def __init__(self, settings: Settings, journal: Journalist) -> None:
        self._settings = settings
        self._journal = journal
        self.lines: list[str] = []
        """What is said of them."""
        self.is_missing_some = False
        """Whether any could not be written."""

    def write(self, run: RunRecord) -> RunRecord:
        """Write all files; return the run as written."""
        settings, examples = self._settings, self._journal.examples
        if path := settings.json_path:
            with self._expected(path):
                run = write_run(path, run, examples)
                self._journal.remove()
        if path := settings.html_path:
            with self._expected(path):
                write_html(path, run, examples)
                self.lines.append(f"quantcheck: page written to {os.path.relpath(path)}")
        if settings.github and (path := settings.github.step_summary):
            with self._expected(path):
                settings.github.append_summary(run)
        return run

    @contextmanager
    def _expected(self, path: Path) -> Iterator[None]:
        """Say what keeps a file from being written, and go on."""
        try:
            yield
        except OSError as error:
            self.is_missing_some = True
            reason = error.strerror or type(error).__name__
            found = f"quantcheck: {os.path.relpath(path)} could not be written: {reason}"
            kept = self._journal.path if path == self._settings.json_path else None
            advice = f"; the run is in {os.path.relpath(kept)}" if kept else ""
            self.lines.append(found + advice)


def write_run(path: Path, run: RunRecord, lines: Collection[str]) -> RunRecord:
    """Write a run, and its per-example records beside it; return it as written.

    The run's own file comes last, so that what it names is there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if lines:
        data = pack(lines)
        beside = path.with_name(f"{path.name.removesuffix('.json')}.examples.jsonl.gz")
        _replace(beside, data)
        file = FileRecord(path=beside.name, sha256=hashlib.sha256(data).hexdigest())
        run = replace(run, examples=file)
    _replace(path, f"{render_json(run)}\n".encode())
    return run


def write_html(path: Path, run: RunRecord, lines: Collection[str]) -> None:
    """Write a run as a page."""
    from pytest_quantcheck.report.html.page import render_html

    path.parent.mkdir(parents=True, exist_ok=True)
    page = render_html(run, dict(map(read_line, sorted(lines))))
    _replace(path, f"{page}\n".encode())


def _replace(path: Path, data: bytes) -> None:
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(data)
    partial.replace(path)

"""Keeps a run on disk while it is under way, beside where it will be written."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from pytest_quantcheck.core import journal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from io import FileIO
    from pathlib import Path

    from pytest_quantcheck.core.gather import Reported


class Journalist:
    """Appends what tests report, each line with one write, so that a killed run can be read.

    Parameters
    ----------
    path : Path or None
        Where the run is written at its end, `run.json`; the journal is `run.jsonl` beside it.
        None keeps nothing.
    started : str
        UTC, ISO 8601.
    """

    def __init__(self, path: Path | None, *, started: str) -> None:
        self._path = path and path.with_name(f"{path.name.removesuffix('.json')}.jsonl")
        self._started = started
        self._file: FileIO | None = None
        self.examples: set[str] = set()
        """Lines of per-example records."""

    @property
    def path(self) -> Path | None:
        """Where the run is kept; None where nothing is."""
        return self._path if self._file is not None else None

    def add(self, reported: Reported | None, examples: Iterable[str]) -> None:
        """Append what one report carries; the first one makes the file."""
        examples = [*examples]
        self.examples.update(examples)
        lines = [journal.examples_line(line) for line in examples]
        if reported is not None:
            lines.append(journal.item_line(reported))
        if self._path is None or not lines:
            return
        try:
            self._write(self._path, lines)
        except OSError:  # a full disk, say: the run goes on, and its end tells
            self.close()
            self._path = None

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def remove(self) -> None:
        """Remove the file: the run was written as a whole."""
        if (path := self.path) is not None:
            self.close()
            with suppress(OSError):
                path.unlink()

    def _write(self, path: Path, lines: list[str]) -> None:
        if self._file is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb", buffering=0)
            lines = [journal.first_line(self._started), *lines]
        for line in lines:
            self._file.write(line.encode())

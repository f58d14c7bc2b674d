"""How pytest shows a failure text: laid out for its terminal, coloured, short in one line."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

import pytest

from pytest_quantcheck.plugin.options import FLAGS, OPTIONS, key_of
from pytest_quantcheck.report.gallery import Layout

COLUMNS = "quantcheck_columns"
"""Key under which xdist's workers are told the width of the terminal."""

_WHOLE_FROM_VERBOSITY = 2
_MARKS = re.compile(r"^[ |]*\^[ |^]*$")
_HEADLINE = re.compile(r"^(FAIL|INCONCLUSIVE): ")


def layout_of(config: pytest.Config) -> Layout:
    """Return how failures are laid out: as wide as the terminal, whole with `-vv`."""
    return Layout(
        width=columns_of(config), is_whole=config.get_verbosity() >= _WHOLE_FROM_VERBOSITY
    )


def columns_of(config: pytest.Config) -> int:
    """Return the columns of the terminal; in an xdist worker, of the one that shows it."""
    given = getattr(config, "workerinput", {}).get(COLUMNS)
    if given is not None:
        return int(given)
    if config.pluginmanager.has_plugin("terminalreporter"):
        return int(config.get_terminal_writer().fullwidth)
    return shutil.get_terminal_size().columns


def command_of(config: pytest.Config, nodeid: str, *, family_size: int) -> str:
    """Return the command that decides one test alone as this run did."""
    path, _, name = nodeid.partition("::")
    here = os.path.relpath(config.rootpath / path, config.invocation_params.dir)
    given = {option: config.getoption(key_of(option)) for option in (*OPTIONS, *FLAGS)}
    given["family-size"] = family_size
    options = [
        f"--quant-{option}" + ("" if option in FLAGS else f"={value}")
        for option, value in given.items()
        if value is not None
    ]
    return shlex.join(["pytest", f"{here}::{name}", *options])


def failure_of(call: pytest.CallInfo[None]) -> str | None:
    """Return the text of a failure that shows no traceback, as all of ours."""
    error = call.excinfo.value if call.excinfo else None
    is_ours = isinstance(error, pytest.fail.Exception) and not error.pytrace
    return str(error) if is_ours else None


def show_theirs(call: pytest.CallInfo[None], config: pytest.Config) -> None:
    """Leave our frames out of a traceback that ends in the user's own code, as in a scorer.

    Where it ends in our code or in a library's, and with `--full-trace`, all are shown.
    """
    if call.excinfo is None or config.getoption("fulltrace"):
        return
    links = []
    link: TracebackType | None = call.excinfo.tb
    while link is not None:
        links.append(link)
        link = link.tb_next
    end = Path(links[-1].tb_frame.f_code.co_filename)
    is_installed = "site-packages" in end.parts or not end.is_relative_to(config.rootpath)
    if is_installed or _is_ours(links[-1]):
        return
    kept: TracebackType | None = None
    for link in reversed(links):
        if not _is_ours(link):
            kept = TracebackType(kept, link.tb_frame, link.tb_lasti, link.tb_lineno)
    call.excinfo = pytest.ExceptionInfo.from_exception(call.excinfo.value.with_traceback(kept))


def _is_ours(link: TracebackType) -> bool:
    return str(link.tb_frame.f_globals.get("__name__")).startswith("pytest_quantcheck.")


def dress(report: pytest.TestReport) -> None:
    """Let a failure text be coloured on a terminal, and be named by its first line elsewhere."""
    text = getattr(report, "quantcheck", {}).get("failure")
    if report.failed and text is not None:
        report.longrepr = FailureText(text)  # type: ignore[assignment]  # as pytest asks of one


@dataclass(frozen=True, slots=True)
class Crash:
    """What pytest's short summary, `--tb=line` and JUnit files say of a failure."""

    message: str

    def __str__(self) -> str:
        return self.message


class _Writer(Protocol):
    """What pytest hands out to write with."""

    def write(self, text: str, **markup: bool) -> None: ...
    def line(self, text: str, **markup: bool) -> None: ...


class FailureText:
    """A failure text in the shape that pytest's reports ask of one.

    Parameters
    ----------
    text : str
        What is shown; it stays the same without colours.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self.reprcrash = Crash(text.partition("\n")[0])

    def __str__(self) -> str:
        return self._text

    def toterminal(self, writer: _Writer) -> None:
        """Write the text, with the verdict and the marks in colour."""
        for line in self._text.split("\n"):
            if found := _HEADLINE.match(line):
                writer.write(found[0], bold=True, red=found[1] == "FAIL", yellow=found[1] != "FAIL")
                writer.line(line[found.end() :])
            else:
                writer.line(line, red=bool(_MARKS.match(line)))

"""One line that says how far a measurement is, where somebody watches."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

from pytest_quantcheck.core.quantity import format_count

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from pytest_quantcheck.core.protocols import Progress

_SECONDS_BETWEEN_LINES = 0.2


def progress_for(config: pytest.Config) -> Progress | None:
    """Return a progress line, or None where nobody would see it.

    It is silent with `-q`, in an xdist worker, and when the output is not a terminal.
    """
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is None or hasattr(config, "workerinput") or config.get_verbosity() < 0:
        return None
    return TerminalProgress(config, terminal) if terminal.isatty else None


class TerminalProgress:
    """Rewrites one line of pytest's terminal."""

    def __init__(
        self,
        config: pytest.Config,
        terminal: pytest.TerminalReporter,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._terminal = terminal
        self._clock = clock
        self._title = ""
        self._total = 0
        self._started = 0.0
        self._last = 0.0

    def start(self, variant: str, workload: str, total: int) -> None:
        """Measuring of `total` examples begins."""
        self._title = f"quantcheck: {workload} on {variant}"
        self._total = total
        self._started = self._clock()
        self._write(f"{self._title}: 0/{format_count(total)}", newline=True)

    def advance(self, done: int, tokens: int) -> None:
        """`done` examples and `tokens` tokens are finished in all."""
        now = self._clock()
        if now - self._last < _SECONDS_BETWEEN_LINES:
            return
        self._last = now
        speed = tokens / max(now - self._started, 1e-9)
        self._write(
            f"{self._title}: {format_count(done)}/{format_count(self._total)}, "
            f"{format_count(round(speed))} tokens/s"
        )

    def finish(self) -> None:
        """Forget the line."""
        self._write("")

    def _write(self, line: str, *, newline: bool = False) -> None:
        capture = self._config.pluginmanager.get_plugin("capturemanager")
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            if newline:
                self._terminal.ensure_newline()
            self._terminal.rewrite(line, erase=True)
            self._terminal.flush()

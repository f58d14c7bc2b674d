"""One line that says how far a measurement is, where somebody watches."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Generic, TypeVar

from pytest_quantcheck.core.quantity import format_count
from pytest_quantcheck.core.verdict import Outcome
from pytest_quantcheck.report.screen import ascii_safe, fitting, pad

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pytest

    from pytest_quantcheck.core.protocols import Watcher

_SECONDS_BETWEEN_LINES = 0.2
_BatchT = TypeVar("_BatchT")


def progress_for(config: pytest.Config) -> TerminalProgress | None:
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
        self._standing = ""

    def judge(self, outcomes: Iterable[Outcome], *, n_budgets: int) -> None:
        """Of `n_budgets` on what is measured for a test, these are decided so far."""
        counts = Counter(outcomes)
        said = [f"{counts[one]} {one.value}" for one in Outcome if counts[one]]
        n_open = n_budgets - counts.total()
        if n_open:
            said.append(f"{n_open} undecided")
        self._standing = ", ".join(said)

    def start(self, variant: str, workload: str, total: int) -> None:
        """Measuring of `total` examples begins."""
        self._title = f"quantcheck: {workload} on {variant}"
        self._total = total
        self._started = self._clock()
        self._write(self._line(0), newline=True)

    def advance(self, done: int, tokens: int) -> None:
        """`done` examples and `tokens` tokens are finished in all."""
        now = self._clock()
        if now - self._last < _SECONDS_BETWEEN_LINES:
            return
        self._last = now
        speed = tokens / max(now - self._started, 1e-9)
        self._write(self._line(done, f"{format_count(round(speed))} tokens/s"))

    def finish(self) -> None:
        """Forget the line."""
        self._write("")

    def _line(self, done: int, speed: str = "") -> str:
        counted = f"{format_count(done)}/{format_count(self._total)}"
        said = [one for one in (counted, speed, self._standing) if one]
        return f"{self._title}: {', '.join(said)}"

    def _write(self, line: str, *, newline: bool = False) -> None:
        capture = self._config.pluginmanager.get_plugin("capturemanager")
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            if newline:
                self._terminal.ensure_newline()
            # A longer line would go on in the next one, which nothing erases.
            room = self._config.get_terminal_writer().fullwidth - 1
            self._terminal.rewrite(pad(ascii_safe(line[: fitting(line, room)]), room))
            self._terminal.flush()


@contextmanager
def verdicts_told(
    progress: TerminalProgress | None,
    watcher: Watcher[_BatchT] | None,
    outcomes: Callable[[], Iterable[Outcome]],
    *,
    n_budgets: int,
) -> Iterator[Watcher[_BatchT] | None]:
    """Show, while something is measured, what is decided of the budgets on it.

    Parameters
    ----------
    progress : TerminalProgress, optional
        Where it is shown; None shows nothing.
    watcher : Watcher, optional
        Who decides. The one yielded does the same, and is to be asked instead.
    outcomes : callable
        Returns what is decided so far.
    n_budgets : int
        Decided or not.
    """
    if progress is None:
        yield watcher
        return
    progress.judge((), n_budgets=n_budgets)
    try:
        yield None if watcher is None else _Told(watcher, progress, outcomes, n_budgets)
    finally:
        progress.judge((), n_budgets=0)


class _Told(Generic[_BatchT]):
    """A watcher whose verdicts are shown."""

    def __init__(
        self,
        watcher: Watcher[_BatchT],
        progress: TerminalProgress,
        outcomes: Callable[[], Iterable[Outcome]],
        n_budgets: int,
    ) -> None:
        self._watcher, self._progress = watcher, progress
        self._outcomes, self._n_budgets = outcomes, n_budgets

    def update(self, batch: _BatchT) -> bool:
        """Take in one more batch; return whether no more are needed."""
        is_enough = self._watcher.update(batch)
        self._progress.judge(self._outcomes(), n_budgets=self._n_budgets)
        return is_enough

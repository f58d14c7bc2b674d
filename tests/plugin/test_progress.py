"""The progress line is for those who watch: a terminal, in one process, not quiet."""

import contextlib
import os
import pty
import re
import subprocess
import sys

import pytest
from timed_suite import SUITE as SERVED
from timed_suite import TABLES, budget

from pytest_quantcheck.core.verdict import Outcome
from pytest_quantcheck.plugin.progress import TerminalProgress, verdicts_told
from pytest_quantcheck.report.screen import display_width

SUITE = """
@pytest.mark.quant_budget("int8", workload=essay, max_exact_match_drop=0.1)
def test_essay(quant): ...
"""


def run_in_a_terminal(project, *args):
    """Return what a terminal would show."""
    ours, theirs = pty.openpty()
    # No plugin that nobody asked for: their imports would take longer than the run.
    plugins = ["-p", "quantcheck", *(["-p", "xdist"] if "-n1" in args else [])]
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *plugins, *args],
        stdout=theirs,
        stderr=theirs,
        cwd=project.pytester.path,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # how Linux says that the other side is closed
        while chunk := os.read(ours, 4096):
            shown += chunk
    os.close(ours)
    assert process.wait() == 0
    return shown.decode()


@pytest.mark.parametrize("args", [(), ("-s",), ("-p", "no:capture")], ids=" ".join)
def test_a_terminal_shows_what_is_measured(project, args):
    project.settings(tables=TABLES)
    project.tests(SUITE + SERVED + budget(workload="brief", max_ttft_ratio=1.5))

    shown = run_in_a_terminal(project, *args)

    assert "\rquantcheck: essay on fp16: 0/1,000, 1 undecided " in shown
    assert "\rquantcheck: essay on int8: 0/1,000, 1 undecided " in shown
    assert re.search(r"\rquantcheck: brief on [^\r]*: 0/60, 1 undecided ", shown), shown
    assert "quantcheck: 2 budgets decided: 2 pass" in shown


@pytest.mark.parametrize("args", [("-q",), ("-n1",), ("-p", "no:terminal")], ids=" ".join)
def test_nobody_else_sees_it(project, args):
    project.tests(SUITE)

    assert "0/1,000" not in run_in_a_terminal(project, *args)


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


class Terminal:
    """Keeps the lines that pytest's terminal would rewrite."""

    def __init__(self):
        self.lines = []
        self.columns = set()

    def ensure_newline(self):
        self.lines.append("---")

    def rewrite(self, line):
        self.columns.add(display_width(line))
        self.lines.append(line.rstrip())

    def flush(self): ...


@pytest.fixture
def watched(pytestconfig, monkeypatch):
    """Return a progress line on a wide terminal, the terminal, and the clock."""
    clock, terminal = Clock(), Terminal()
    monkeypatch.setattr(pytestconfig.get_terminal_writer(), "fullwidth", 100)
    return TerminalProgress(pytestconfig, terminal, clock), terminal, clock


def test_the_line_says_how_far_and_how_fast_five_times_a_second(watched):
    progress, terminal, clock = watched

    progress.start("int4", "triage", 12_000)
    for seconds, done in ((0.5, 10), (0.6, 20), (2.0, 2_400)):
        clock.now = 100.0 + seconds
        progress.advance(done, tokens=500 * done)
    progress.finish()

    assert terminal.lines == [
        "---",
        "quantcheck: triage on int4: 0/12,000",
        "quantcheck: triage on int4: 10/12,000, 10,000 tokens/s",
        "quantcheck: triage on int4: 2,400/12,000, 600,000 tokens/s",
        "",
    ]
    assert terminal.columns == {99}


@pytest.mark.parametrize("width", [40, 80, 140])
def test_the_line_never_goes_on_in_the_next_one(watched, pytestconfig, monkeypatch, width):
    progress, terminal, clock = watched
    monkeypatch.setattr(pytestconfig.get_terminal_writer(), "fullwidth", width)

    progress.judge([Outcome.FAIL], n_budgets=12)
    progress.start("int4", "価格\x1b[2J" * 9, 12_000)
    clock.now += 1
    progress.advance(10, tokens=10)

    assert terminal.columns == {width - 1}
    assert "\x1b" not in "".join(terminal.lines)


def test_the_line_says_what_is_decided_so_far(watched):
    progress, terminal, clock = watched

    class Decides:
        """Takes one verdict a batch."""

        def __init__(self):
            self.settled = []

        def update(self, batch):
            self.settled.append(batch)
            return len(self.settled) == 3

    watch, batches = Decides(), (Outcome.PASS, Outcome.FAIL, Outcome.PASS)
    with verdicts_told(progress, watch, lambda: watch.settled, n_budgets=3) as watcher:
        progress.start("int4", "triage", 30)
        enough = []
        for number, batch in enumerate(batches, start=1):
            enough.append(watcher.update(batch))
            clock.now += 1
            progress.advance(10 * number, tokens=30 * number)
    progress.start("int8", "triage", 30)

    assert enough == [False, False, True]
    assert terminal.lines[1:] == [
        "quantcheck: triage on int4: 0/30, 3 undecided",
        "quantcheck: triage on int4: 10/30, 30 tokens/s, 1 pass, 2 undecided",
        "quantcheck: triage on int4: 20/30, 30 tokens/s, 1 pass, 1 fail, 1 undecided",
        "quantcheck: triage on int4: 30/30, 30 tokens/s, 2 pass, 1 fail",
        "---",
        "quantcheck: triage on int8: 0/30",
    ]


def test_where_nobody_watches_the_watcher_is_asked_itself():
    watch = object()

    with verdicts_told(None, watch, list, n_budgets=1) as watcher:
        assert watcher is watch

"""The progress line is for those who watch: a terminal, in one process, not quiet."""

import contextlib
import os
import pty
import subprocess
import sys

import pytest

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
    project.tests(SUITE)

    shown = run_in_a_terminal(project, *args)

    assert "\rquantcheck: essay on fp16: 0/1,000" in shown
    assert "\rquantcheck: essay on int8: 0/1,000" in shown
    assert "quantcheck: 1 budget decided: 1 pass" in shown


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

    def ensure_newline(self):
        self.lines.append("---")

    def rewrite(self, line, *, erase):
        self.lines.append(line)
        assert erase

    def flush(self): ...


def test_the_line_says_how_far_and_how_fast_five_times_a_second(pytestconfig):
    from pytest_quantcheck.plugin.progress import TerminalProgress

    clock, terminal = Clock(), Terminal()
    progress = TerminalProgress(pytestconfig, terminal, clock)

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

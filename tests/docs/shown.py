"""Outputs that documents show: which command printed them, and what may differ.

A block of output stands behind a comment that names its command and what is shown of it:

    <!-- pytest tests/test_helpdesk.py: summary -->
    <!-- pytest tests/test_helpdesk.py: narrow summary -->
    <!-- pytest tests/test_helpdesk.py: failure test_prices[int4] -->
    <!-- pytest tests/test_helpdesk.py: 2 flips of test_prices[int4] -->

`python tests/docs/refresh.py` runs the commands again and rewrites the blocks.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_quantcheck.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent.parent
TUTORIAL = ROOT / "docs" / "tutorial.md"
SHOWING = (
    "README.md",
    "docs/index.md",
    "docs/tutorial.md",
    "docs/how-to/own-scorer.md",
    "docs/how-to/own-variant.md",
    "docs/how-to/reading-a-failure.md",
    "docs/how-to/serving-budgets.md",
)
"""Documents with outputs."""
ADDING = ("docs/tutorial.md", "docs/how-to/own-scorer.md", "docs/how-to/own-variant.md")
"""Documents with files that a reader adds to the example project."""
BLOCK = re.compile(
    r"<!-- (?P<command>pytest[^:\n]*(?:::[^:\n]*)*): (?P<part>[^\n]+?) -->\n"
    r"```text\n(?P<text>.*?)```",
    re.DOTALL,
)
FILE = re.compile(r"<!-- file: (?P<path>\S+) -->\n```\w+\n(?P<text>.*?)```", re.DOTALL)
WAIVED_UNTIL = "2027-03-31"
"""The date in the tutorial; a run puts one in its place that has not come."""
ROW = re.compile(
    r"^ (?P<workload>\S+) +(?P<variant>int\d[\w-]*(?: \([\w.]+\))?) +"
    r"(?P<metric>(?:reference )?\w+(?: \w+)*?)  .*?"
    r"(?P<estimate>-?[\d.]+)(?: %| pp)? \[(?P<low>-?[\d.]+), (?P<high>-?[\d.]+)\] +"
    r"(?P<budget>[<>]= \S+(?: %| pp)?) +(?:(?P<n>[\d,]+) +)?(?P<verdict>[A-Z]+)",
    re.MULTILINE,
)
COUNTS = re.compile(r"^quantcheck: .*decided.*$", re.MULTILINE)
FLIP = re.compile(r"^    \S+(?: \[.*\])?  (?:lost|gained)", re.MULTILINE)
_COLUMNS = "160"
_NARROW_COLUMNS = "104"
"""About as many as the page of a repository shows."""
_PATIENCE_SECONDS = 900


@dataclass(frozen=True)
class Shown:
    """A block of output in a document."""

    page: Path
    command: str
    part: str
    text: str


def blocks(page: Path) -> list[Shown]:
    """Return the blocks of output in a document."""
    return [
        Shown(page=page, command=found["command"], part=found["part"], text=found["text"])
        for found in BLOCK.finditer(page.read_text(encoding="utf-8"))
    ]


def rows(text: str) -> list[dict[str, str]]:
    """Return the rows of a table of verdicts."""
    return [found.groupdict() for found in ROW.finditer(text)]


def part_of(output: str, part: str) -> str:
    """Return what a document shows of an output."""
    match part.split(" "):
        case ["summary"] | ["narrow", "summary"]:
            found = [*re.finditer(r"^=+ quantcheck · .*$", output, re.MULTILINE)]
            start = found["narrow" in part].start()
            return output[start : COUNTS.search(output, start).end()] + "\n"
        case ["failure", name]:
            start = re.search(rf"^_+ {re.escape(name)} _+$", output, re.MULTILINE).end() + 1
            return output[start : output.index("\n", output.index("  reproduce:", start)) + 1]
        case [count, "flips", "of", name]:
            text = part_of(output, f"failure {name}")
            cut = [*FLIP.finditer(text)][int(count)].start()
            return text[:cut] + "    …\n" + text[text.index("  reproduce:") :]
    raise ValueError(f"{part!r}: expected [narrow] summary, failure NAME, or N flips of NAME")


def example(folder: Path, *, is_tutorial: bool) -> Path:
    """Return a copy of the example project, with what documents add to it if asked for."""
    project = folder / "example_project"
    ignored = shutil.ignore_patterns("__pycache__", ".pytest_cache")
    shutil.copytree(ROOT / "example_project", project, ignore=ignored)
    for found in _added_files() if is_tutorial else ():
        path = project / found["path"]
        kept = path.read_text(encoding="utf-8") + "\n" if path.exists() else ""
        text = found["text"].replace(WAIVED_UNTIL, _in_a_year())
        path.write_text(kept + text, encoding="utf-8")
    return project


def _added_files() -> Iterator[re.Match[str]]:
    for name in ADDING:
        yield from FILE.finditer((ROOT / name).read_text(encoding="utf-8"))


def _in_a_year() -> str:
    return (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=365)).isoformat()


def run(command: str, folder: Path) -> str:
    """Return what a command prints in a copy of the example project, on the CPU."""
    first, *arguments = shlex.split(command)
    written = folder / "run.json"
    assert first == "pytest", command
    is_own = any(name in command for name in ("test_helpdesk", "test_serving"))
    project = example(folder, is_tutorial=not is_own)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments,
         "-p", "no:cacheprovider", "-p", "no:randomly", "--color=no", "--quant-device=cpu",
         f"--quant-json={written}"],
        cwd=project, env=os.environ | {"COLUMNS": _COLUMNS, "PYTEST_ADDOPTS": ""},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    narrow = io.StringIO()
    if written.exists():
        with redirect_stdout(narrow):
            main(["report", str(written), "--width", _NARROW_COLUMNS, "--color", "no"])
    printed = done.stdout + narrow.getvalue()
    return printed.replace(" --quant-device=cpu", "").replace(_in_a_year(), WAIVED_UNTIL)


def once(folder: Path, command: str) -> str:
    """Return what a command prints, run by the first of several processes that asks."""
    kept = folder / f"{hashlib.sha256(command.encode()).hexdigest()[:16]}.json"
    lock = kept.with_suffix(".lock")
    try:
        lock.mkdir(parents=True)
    except FileExistsError:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not kept.exists():
            assert time.monotonic() < deadline, f"{command} was never finished"
            time.sleep(0.5)
        return json.loads(kept.read_text(encoding="utf-8"))
    output = run(command, lock)
    partial = kept.with_suffix(".partial")
    partial.write_text(json.dumps(output), encoding="utf-8")
    partial.replace(kept)
    return output

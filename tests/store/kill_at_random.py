"""Kill runs at random moments and start them again.

usage: python tests/store/kill_at_random.py [--times 50] [--seed 0] [--of pytest]
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "fakes"))

from other_process import plugin_options

from pytest_quantcheck.errors import StoreError
from pytest_quantcheck.store import codec

HERE = Path(__file__).parent
FAKES = HERE.parent / "fakes"
ROOT = HERE.parent.parent
_PATIENCE_SECONDS = 600
_OF_TIME = {"seconds", "measured_at", "n_from_store"}
PYPROJECT = """\
[tool.pytest.ini_options]
quant_model = "model"
quant_variants = ["int8"]
quant_reference = "fp16"
quant_device = "cpu"
quant_sequential = "on"
[tool.quantcheck.variants.fp16]
backend = "fake"
precision = "slow-2"
[tool.quantcheck.variants.int8]
backend = "fake"
precision = "lossy-0"
"""
CONFTEST = """\
import quantcheck_fake
def pytest_quantcheck_backends(): return quantcheck_fake.VERSIONED
"""
SUITE = """\
import pytest
from pytest_quantcheck import MultipleChoice

def questions(name, n):
    return MultipleChoice.from_examples(
        [{"context": f"{name} {i}:", "choices": [" right", " wrong"], "answer": 0}
         for i in range(n)], name=name)

WORKLOADS = [*(questions(f"w{i}", 6) for i in range(30)), questions("large", 400)]

@pytest.mark.parametrize("i", range(31))
@pytest.mark.quant_budget(max_weight_memory_ratio=2.0)
def test_workload(quant, i):
    quant.measure(WORKLOADS[i])
"""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A command that measures, in a folder of its own."""

    folder: Path
    is_pytest: bool

    @property
    def store(self) -> Path:
        """Where it keeps the reference."""
        return self.folder / "store"

    @property
    def log(self) -> Path:
        """Where the fake backend says what it loads and scores."""
        return self.folder / "log"

    def start(self) -> subprocess.Popen[bytes]:
        """Start it from the beginning, with an empty log."""
        self.log.unlink(missing_ok=True)
        command = [str(HERE / "measuring.py"), str(self.store)]
        if self.is_pytest:
            self._write_project()
            command = ["-m", "pytest", *plugin_options(), "-q", "-p", "no:randomly"]
            command += ["--quant-store=store", "--quant-json=run.json"]
        paths = [str(ROOT), str(FAKES), os.environ.get("PYTHONPATH", "")]
        return subprocess.Popen(
            [sys.executable, *command],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ
            | {"QUANTCHECK_FAKE_LOG": str(self.log), "PYTHONPATH": os.pathsep.join(paths)},
        )

    def measured(self) -> list[str]:
        """Return what the reference was asked, part by part."""
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        return [line for line in lines if line.startswith("score slow")]

    def result(self, process: subprocess.Popen[bytes]) -> Any:
        """Wait for the end, and return what was found, whenever it was measured."""
        out, err = process.communicate(timeout=_PATIENCE_SECONDS)
        assert process.returncode == 0, (out + err).decode()
        if not self.is_pytest:
            return json.loads(out)
        run = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
        for one in run["measurements"]:
            for name in _OF_TIME:
                del one[name]
        return [run["checks"], run["measurements"], run["environments"], run["warnings"]]

    def recorded(self) -> int:
        """Return how many parts are in the store, whole."""
        count = 0
        for path in self.store.glob("*.entry"):
            with suppress(StoreError):
                data: Any = codec.read(path).data
                count += data["key"]["identity"]["content"] == "scores"
        return count

    def held_locks(self) -> list[str]:
        """Return the locks that some process holds."""
        return [path.name for path in self.store.glob("*.lock") if _is_held(path)]

    def leftovers(self) -> list[str]:
        """Return the files of the store that are no entries."""
        return [
            path.name for path in self.store.glob("*") if path.suffix != ".entry" and path.suffix
        ]

    def _write_project(self) -> None:
        (self.folder / "model").mkdir(exist_ok=True)
        for name, text in (
            ("pyproject.toml", PYPROJECT),
            ("conftest.py", CONFTEST),
            ("test_suite.py", SUITE),
        ):
            (self.folder / name).write_text(text, encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class Clean:
    """What an undisturbed run gives."""

    result: Any
    n_parts: int
    seconds: float
    """From the first part to the end."""


def clean_run(folder: Path, *, is_pytest: bool) -> Clean:
    """Run a subject undisturbed."""
    subject = _made(folder, is_pytest=is_pytest)
    process = subject.start()
    _wait_for(subject, process, n_parts=1)
    started = time.monotonic()
    result = subject.result(process)
    seconds = time.monotonic() - started
    assert subject.recorded() == len(subject.measured())
    return Clean(result=result, n_parts=len(subject.measured()), seconds=seconds)


def trial(folder: Path, clean: Clean, *, moment: float, is_pytest: bool) -> int:
    """Kill a run `moment` of its way through, start it again, and check everything.

    Returns
    -------
    int
        How many parts were recorded when it was killed.
    """
    subject = _made(folder, is_pytest=is_pytest)
    process = subject.start()
    whole, rest = divmod(moment * clean.n_parts, 1)
    _wait_for(subject, process, n_parts=int(whole))
    time.sleep(rest * clean.seconds / clean.n_parts)
    process.kill()
    process.communicate()
    recorded = subject.recorded()
    assert subject.held_locks() == []
    found = subject.result(subject.start())
    assert found == clean.result, "another result after the kill"
    again = subject.measured()
    assert len(again) == clean.n_parts - recorded, f"{recorded} recorded, {len(again)} measured"
    assert len(set(again)) == len(again)
    assert subject.leftovers() == []
    return recorded


def _made(folder: Path, *, is_pytest: bool) -> Subject:
    folder.mkdir()
    return Subject(folder=folder, is_pytest=is_pytest)


def _wait_for(subject: Subject, process: subprocess.Popen[bytes], *, n_parts: int) -> None:
    """Wait until so many parts were begun."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while len(subject.measured()) < n_parts and process.poll() is None:
        assert time.monotonic() < deadline, "it never got there"
        time.sleep(0.001)


def _is_held(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def main(arguments: list[str]) -> None:
    """Print one line for each kill, and a last one on all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--of", choices=["pytest", "parts"], default="pytest")
    asked = parser.parse_args(arguments)
    is_pytest = asked.of == "pytest"
    moments = random.Random(asked.seed)
    found = []
    with tempfile.TemporaryDirectory(prefix="quantcheck-kills-") as name:
        folder = Path(name)
        clean = clean_run(folder / "clean", is_pytest=is_pytest)
        for number in range(asked.times):
            moment = moments.random()
            found.append(trial(folder / f"{number}", clean, moment=moment, is_pytest=is_pytest))
            sys.stdout.write(
                f"killed at {moment:.0%}: {found[-1]} of {clean.n_parts} parts recorded\n"
            )
            sys.stdout.flush()
    sys.stdout.write(
        f"{asked.times} kills: every result as undisturbed, none of {sum(found)} recorded parts "
        "measured again, no lock left\n"
    )


if __name__ == "__main__":
    main(sys.argv[1:])

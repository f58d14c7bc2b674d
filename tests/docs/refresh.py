"""Rewrite the outputs in the documents: python tests/docs/refresh.py [run] [README.md …]."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from shown import BLOCK, ROOT, SHOWING, example, part_of, run

RUN = "run"
"""Stands for the run that is kept in example_project/report."""
_KEPT = "triage or shelf or manual or weights"
"""Its tests: those that a CPU measures in a minute or two."""


def keep_run() -> None:
    """Run a part of the example as it is, and keep what --quant-json writes."""
    kept = ROOT / "example_project" / "report"
    with tempfile.TemporaryDirectory() as folder:
        project = example(Path(folder), is_tutorial=False)
        shutil.rmtree(project / "report", ignore_errors=True)
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly",
             "-k", _KEPT, "--quant-device=cpu", "--quant-json=report/run.json"],
            cwd=project, env=os.environ | {"PYTEST_ADDOPTS": ""}, check=False,
        )  # fmt: skip
        assert done.returncode in {0, 1}
        kept.mkdir(exist_ok=True)
        for path in (project / "report").iterdir():
            shutil.copy(path, kept)


def main(names: list[str]) -> None:
    """Run every command behind a shown output once, and put what it prints into its blocks."""
    if not names or RUN in names:
        keep_run()
    pages = [ROOT / name for name in names or SHOWING if name != RUN]
    outputs: dict[str, str] = {}
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for found in reversed(list(BLOCK.finditer(text))):
            command = found["command"]
            if command not in outputs:
                with tempfile.TemporaryDirectory() as folder:
                    outputs[command] = run(command, Path(folder))
            new = part_of(outputs[command], found["part"])
            text = text[: found.start("text")] + new + text[found.end("text") :]
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

"""Rewrite the outputs in the documents: python tests/docs/refresh.py [README.md …]."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from shown import BLOCK, ROOT, SHOWING, part_of, run


def main(names: list[str]) -> None:
    """Run every command behind a shown output once, and put what it prints into its blocks."""
    pages = [ROOT / name for name in names or SHOWING]
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

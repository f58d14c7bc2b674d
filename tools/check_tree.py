"""Check what no linter knows: file sizes, and pytest's private modules.

usage: check_tree.py [ROOT]
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

LONGEST_FILE_LINES = 300
_PRIVATE = re.compile(r"^\s*(?:from|import)\s+_pytest\b", re.MULTILINE)


def findings(root: Path) -> list[str]:
    """Return a message for each Python file that breaks a rule."""
    messages = []
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        if any(part.startswith(".") for part in relative.parts):
            continue
        text = path.read_text(encoding="utf-8")
        n_lines = text.count("\n")
        if n_lines > LONGEST_FILE_LINES:
            messages.append(f"{relative}: {n_lines} lines, at most {LONGEST_FILE_LINES}")
        if _PRIVATE.search(text):
            messages.append(f"{relative}: imports _pytest, which is private to pytest")
    return messages


if __name__ == "__main__":
    found = findings(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
    sys.stderr.writelines(f"{message}\n" for message in found)
    sys.exit(bool(found))

"""Check what no linter knows: file sizes, pytest's private modules, notes for the changelog.

usage: check_tree.py [ROOT]
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

LONGEST_FILE_LINES = 300
MOST_WORDS = 25
_NOTE = re.compile(r"[a-z0-9-]+\.(?:added|changed|fixed|removed)\.md")
_SENTENCE_END = re.compile(r"[.!?](?:\s|$)")
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


def note_findings(folder: Path) -> list[str]:
    """Return a message for each note for the changelog that breaks a rule."""
    messages = []
    for path in sorted(set(folder.glob("*")) - {folder / "template.md"}):
        name = f"{folder.name}/{path.name}"
        if not _NOTE.fullmatch(path.name):
            messages.append(f"{name}: not named TOPIC.{{added,changed,fixed,removed}}.md")
            continue
        text = path.read_text(encoding="utf-8").strip()
        n_words = len(text.split())
        if n_words > MOST_WORDS:
            messages.append(f"{name}: {n_words} words, at most {MOST_WORDS}")
        if not text.endswith(".") or len(_SENTENCE_END.findall(text)) != 1:
            messages.append(f"{name}: not one sentence with a full stop")
    return messages


if __name__ == "__main__":
    tree = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    found = findings(tree) + note_findings(tree / "changelog.d")
    sys.stderr.writelines(f"{message}\n" for message in found)
    sys.exit(bool(found))

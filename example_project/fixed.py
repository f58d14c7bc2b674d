"""What was settled before a quantized variant of the model was run, by its hash.

Run it to write ``model/fixed.json``; each time is an entry in HISTORY.md.
"""

import hashlib
import json
from pathlib import Path

HERE = Path(__file__).parent
RECORD = HERE / "model" / "fixed.json"
PARTS = {
    "generator": ["training/catalogue.py", "training/words.toml"],
    "recipe": [f"training/{name}.py" for name in ("batches", "lean", "recipe", "train")],
    "model": ["model/config.json", "model/model.safetensors", "model/tokenizer.json"],
    "data": ["data/*"],
    "tests": ["tests/test_forms.py", "tests/test_helpdesk.py"],
}


def fingerprints() -> dict[str, str]:
    """Return the SHA-256 of each part's files, names included."""
    found = {}
    for part, patterns in PARTS.items():
        digest = hashlib.sha256()
        for path in sorted(path for pattern in patterns for path in HERE.glob(pattern)):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{path.relative_to(HERE).as_posix()} {content}\n".encode())
        found[part] = digest.hexdigest()
    return found


def report() -> str:
    """Return one line: what is fixed, and what has changed since."""
    now, then = fingerprints(), json.loads(RECORD.read_text(encoding="utf-8"))
    changed = [part for part in now if now[part] != then.get(part)]
    shown = " ".join(f"{part} {digest[:8]}" for part, digest in now.items())
    if changed:
        return f"{shown}: CHANGED since the first quantized run: {', '.join(changed)}"
    return f"{shown}: as fixed before the first quantized run"


if __name__ == "__main__":
    RECORD.write_text(json.dumps(fingerprints(), indent=1) + "\n", encoding="utf-8")

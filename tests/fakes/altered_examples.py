"""Per-example records of a run on disk, changed."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

from pytest_quantcheck.core.examples import key_of, pack


def rewrite(path, change, *, is_signed):
    """Change the lines of the per-example records, and let the run name them as it did before."""
    path = Path(path)
    beside = path.with_name("run.examples.jsonl.gz")
    text = path.read_text(encoding="utf-8")
    _, *lines = gzip.decompress(beside.read_bytes()).decode().splitlines()
    records = [(key_of(line), json.loads(line)) for line in lines]
    changed = []
    for key, record in sorted(records, key=lambda one: one[1]["reference"] is not None):
        change(record)
        line = json.dumps(record, separators=(",", ":"))
        changed.append(line)
        if is_signed:
            text = text.replace(key, key_of(line))
    beside.write_bytes(pack(changed))
    if is_signed:
        run = json.loads(text)
        run["examples"]["sha256"] = hashlib.sha256(beside.read_bytes()).hexdigest()
        path.write_text(json.dumps(run), encoding="utf-8")

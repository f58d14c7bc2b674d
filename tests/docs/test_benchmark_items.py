"""The benchmark's instructions are what its script writes."""

from __future__ import annotations

import json
import runpy
from collections import Counter
from pathlib import Path

FOLDER = Path(__file__).parent.parent.parent / "benchmarks" / "instructions"


def test_the_committed_items_are_those_the_script_writes():
    written = runpy.run_path(str(FOLDER / "write_items.py"))["items"]()
    lines = (FOLDER / "instructions.jsonl").read_text(encoding="utf-8").splitlines()

    assert [json.loads(line) for line in lines] == written
    assert len({item["prompt"] for item in written}) == 200
    assert set(Counter(item["slice"] for item in written).values()) == {20}

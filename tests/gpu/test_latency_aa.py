"""On a GPU, a model that is slowed down by extra kernels is found out, and itself is not."""

from __future__ import annotations

import json

import pytest
from latency_aa import Benchmark, parse

pytestmark = pytest.mark.gpu


def test_a_slowdown_by_half_is_found_and_none_where_there_is_none(tmp_path):
    file = tmp_path / "aa.json"
    options = ["--shape=tiny", "--tests=4", "--seconds=60", "--slowdown=0.5", f"--json={file}"]

    found = Benchmark(parse([*options, "--aa-limit=1.3", "--slow-limit=1.2"])).run()

    kept = json.loads(file.read_text(encoding="utf-8"))
    assert (kept["mode"], kept["fallback"]) == ("compiled", "")
    assert kept["slowdown"] == pytest.approx(0.5, abs=0.2)
    assert found, kept["aa"]["summary"] | kept["slow"]["summary"]

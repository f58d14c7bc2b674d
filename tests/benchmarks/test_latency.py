"""A latency benchmark times what is asked, and says what could be at most."""

from __future__ import annotations

import json
import sys

import latency
import pytest
import scipy.stats
import torch
from common.intervals import median
from common.latency_table import table
from common.limits import Machine, limits_of
from common.roofline import Peaks
from common.shapes import make_model

from pytest_quantcheck.measure.latency.protocols import Shape


@pytest.mark.parametrize(
    ("n", "low", "high", "level"),
    [
        (3, 1, 3, 0.75),
        (5, 1, 5, 0.9375),
        (6, 1, 6, 0.96875),
        (9, 2, 8, 0.9609),
        (20, 6, 15, 0.9586),
    ],
)
def test_medians_stand_between_order_statistics(n, low, high, level):
    found = median([float(one) for one in range(n, 0, -1)])
    assert (found.value, found.low, found.high, found.n) == ((n + 1) / 2, low, high, n)
    assert found.confidence_level == pytest.approx(level, abs=1e-4)
    coins = scipy.stats.binom(n, 0.5)
    assert found.confidence_level == pytest.approx(1 - 2 * coins.cdf(low - 1))
    assert 1 - 2 * coins.cdf(low) < 0.95  # one rank further in is too narrow


def test_limits_are_bytes_over_bandwidth_or_operations_over_peak():
    model = make_model("tiny", torch.float32, "cpu")
    shape = Shape(prompts=((1,) * 10,) * 4, new_tokens=8, mode="eager")
    slow_memory = Machine(peaks=Peaks(compute=1e30, int8=None), bandwidth=1e6)
    slow_products = Machine(peaks=Peaks(compute=1e9, int8=None), bandwidth=1e30)
    read = sum(one.nbytes for one in model.parameters()) + sum(
        one.nbytes for one in model.buffers()
    )
    read -= model.get_input_embeddings().weight.nbytes
    cache = 4 * 2 * 2 * 4 * 16 * (10 + 4) * 2  # rows, keys and values, layers, width, tokens, bytes
    by_bytes = limits_of(model, shape, slow_memory, "fp16")
    assert by_bytes.ttft_seconds == pytest.approx(read / 1e6)
    assert by_bytes.tpot_seconds == pytest.approx((read + cache) / 1e6)
    layers = [one.weight.numel() for one in model.model.modules() if type(one) is torch.nn.Linear]
    head = model.get_output_embeddings().weight.numel()
    attention = 4 * 128 * 2 * (4 * 14)
    by_products = limits_of(model, shape, slow_products, "fp16")
    assert by_products.tpot_seconds == pytest.approx(
        (2 * 4 * (sum(layers) + head) + attention) / 1e9
    )
    nothing = Machine(peaks=Peaks(compute=None, int8=None), bandwidth=None)
    assert limits_of(model, shape, nothing, "fp16") is None


def test_every_cell_has_a_row(tmp_path, monkeypatch, capsys):
    path = tmp_path / "found.json"
    asked = "--shape tiny --variants fp16 --batch 1,2 --prompt-tokens 8 --new-tokens 3"
    more = f"--repeats 3 --seconds 1 --device cpu --dtype float32 --json {path}"
    monkeypatch.setattr(sys, "argv", ["latency.py", *asked.split(), *more.split()])
    latency.main()
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    assert [(row["batch"], row["mode"]) for row in rows] == [
        (1, "eager"),
        (1, "compiled"),
        (2, "eager"),
        (2, "compiled"),
    ]
    assert [row["ttft_seconds"]["n"] for row in rows[::2]] == [3, 3]
    assert "CUDA graphs need a CUDA device" in rows[1]["fallback"]
    assert rows[2]["memory"]["kv_cache_bytes"] == 2 * rows[0]["memory"]["kv_cache_bytes"]
    shown = capsys.readouterr().out
    assert shown.count("\n| fp16 |") == 4


def test_what_does_not_fit_is_said():
    shown = table([{"variant": "fp16", "batch": 32, "mode": "eager", "error": "out of memory"}])
    assert shown.endswith(f"| fp16 | 32 | eager | out of memory |{'  |' * 10}")

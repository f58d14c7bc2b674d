"""The scoring benchmark runs, counts what both sides do, and says what is missing."""

from __future__ import annotations

import json
from argparse import Namespace

import pytest
import scoring
from common.peer import peer_version
from common.requests import Work, make_work, windows
from common.roofline import Peaks, cost_of
from common.shapes import BOS, SHAPES

VOCABULARY = SHAPES["tiny"]["vocab_size"]


def arguments(tmp_path, **changes):
    chosen = {
        "shape": "tiny",
        "variants": "fp16,int8",
        "workloads": "mmlu,documents",
        "items": 1,
        "documents": 1,
        "window": 128,
        "repeats": 1,
        "seconds": 1e6,
        "device": "cpu",
        "dtype": "float32",
        "extras": "early,batch_1,float32",
        "json": tmp_path / "scoring.json",
    }
    return Namespace(**chosen | changes)


def test_every_cell_is_measured_and_what_is_missing_is_said(tmp_path, capsys):
    benchmark = scoring.Benchmark(arguments(tmp_path))
    benchmark.run()
    benchmark.show()

    shown = capsys.readouterr().out
    found = json.loads((tmp_path / "scoring.json").read_text(encoding="utf-8"))
    assert [(row["variant"], row["workload"]) for row in found["rows"]] == [
        (variant, name) for variant in ("fp16", "int8") for name in ("mmlu", "documents")
    ]
    for row in found["rows"]:
        assert row["ours"]["seconds"] > 0
        assert row["tokens_distinct"] <= row["ours"]["forwarded"] <= row["tokens_asked"]
    assert found["early"][0]["questions"] == 5
    if peer_version() is None:
        assert "| absent |" in shown
        assert "lm_eval is not on PYTHONPATH: nothing was compared with it" in shown
    else:
        assert all(row["harness"]["largest_difference_nats"] < 0.1 for row in found["rows"])


def test_what_there_was_no_time_for_is_listed(tmp_path, capsys):
    benchmark = scoring.Benchmark(arguments(tmp_path, seconds=0.0, variants="fp16", extras=""))
    benchmark.run()
    benchmark.show()
    assert "left out: fp16 mmlu: all of it" in capsys.readouterr().out


def test_windows_are_those_of_the_harness():
    # lm_eval.utils.get_rolling_token_windows([…], prefix_token=0, max_seq_len=4, context_len=1)
    # and make_disjoint_window of lm-evaluation-harness 0.4.13.
    assert list(windows([11, 12, 13], 0, 4)) == [([0], [11, 12, 13])]
    assert list(windows([*range(11, 21)], 0, 4)) == [
        ([0], [11, 12, 13, 14]),
        ([14], [15, 16, 17, 18]),
        ([16, 17, 18], [19, 20]),
    ]


def test_a_tree_counts_shared_prefixes_once():
    context = [BOS, 20, 21]
    work = Work(name="two", items=(((context, [30, 31]), (context, [30, 32]), (context, [40])),))
    # Inputs: the context of three tokens, and 30 after it.
    assert work.tree == (4, 1 + 2 + 3 + 4)
    assert work.tokens == 4 + 4 + 3


def test_workloads_are_the_same_each_time_and_shorter_ones_begin_them():
    whole = make_work("mmlu", 30, VOCABULARY)
    assert make_work("mmlu", 30, VOCABULARY).pairs == whole.pairs
    assert whole.first(3).pairs == whole.pairs[:12]
    subject = whole.items[0][0][0][:300]
    assert whole.items[2][0][0][:300] == subject


def test_operations_are_two_a_weight_and_token():
    class Config:
        hidden_size, intermediate_size, num_hidden_layers = 8, 16, 3
        num_attention_heads, num_key_value_heads, vocab_size = 4, 2, 50

    class Run:
        forwarded, head_rows = 4, 2

    work = Work(name="one", items=((([BOS, 20], [21, 22, 23]),),))
    cost = cost_of(Run, work, Config)
    layer = 8 * 8 + 2 * 8 * 4 + 8 * 8 + 3 * 8 * 16  # q, k and v, o, MLP
    assert cost.body == 2 * layer * 3 * 4
    assert cost.attention == 4 * 8 * 3 * (1 + 2 + 3 + 4)
    assert cost.head == 2 * 8 * 50 * 2
    peaks = Peaks(compute=1e6, int8=2e6)
    assert cost.utilization(0.5, peaks) == pytest.approx(cost.total / 0.5 / 1e6)
    assert cost.limit_share(0.5, peaks, "int8") == pytest.approx(
        (cost.body / 2e6 + (cost.attention + cost.head) / 1e6) / 0.5
    )
    assert cost.limit_share(0.5, Peaks(compute=None, int8=None), "fp16") is None

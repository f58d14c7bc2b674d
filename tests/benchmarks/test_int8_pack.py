"""The benchmark of LLM.int8 packs times every way, and sees states that are not the same."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from common.shapes import SHAPES
from int8_pack import compare_ways, largest_pack, make_timer

from pytest_quantcheck.measure.engine.llm_int8 import layers


@pytest.fixture(scope="module")
def timer():
    return make_timer("tiny", "int8", "cpu", repeats=1)


@pytest.fixture(scope="module")
def pack():
    return largest_pack("hellaswag", SHAPES["tiny"]["vocab_size"], tokens=400)


def test_every_way_is_timed_and_gives_the_same_states(timer, pack, capsys):
    compare_ways(timer, pack)
    shown = capsys.readouterr().out
    found = re.findall(r"^  (\w+) +host +([\d.]+) ms  pack +([\d.]+) ms", shown, re.MULTILINE)
    assert [way for way, _, _ in found] == ["counted", "rooms", "wide", "plain"]
    assert all(0 < float(host) <= float(whole) for _, host, whole in found)
    assert shown.count("the same states; q_proj 2x") == 2
    # Without a GPU nothing is fused: plain is the same arithmetic.
    assert "states differ by 0 of their size" in shown


def test_states_that_differ_are_told(timer, pack, capsys, monkeypatch):
    exact = layers.quantize

    def forget_outliers(inputs, segments, threshold, room):
        found = exact(inputs, segments, threshold, room)
        return found if room is None else replace(found, kept=())

    monkeypatch.setattr(layers, "quantize", forget_outliers)
    compare_ways(timer, pack)
    assert capsys.readouterr().out.count("OTHER STATES") == 2

"""Room for outlier columns: what is enough changes nothing, and what is not is noticed."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from bitsandbytes.nn import Int8Params, Linear8bitLt

from pytest_quantcheck.measure.engine.llm_int8 import layers
from pytest_quantcheck.measure.engine.llm_int8.codes import quantize
from pytest_quantcheck.measure.engine.llm_int8.layers import packed, run_packed, separate_sequences
from pytest_quantcheck.measure.engine.llm_int8.rooms import Rooms, parts, room_for
from pytest_quantcheck.measure.engine.segments import PIECE_ROWS, segments_on

WIDTH = 320
LENGTHS = (70, 1, 90, 39)
PARENTS = (-1, 0, 1, 0)
THRESHOLD = 6.0


def make_rows(columns, seed=0):
    """Return (t, k) with an outlier in each of so many columns, somewhere."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn((sum(LENGTHS), WIDTH), generator=generator).clamp(-2.5, 2.5)
    chosen = torch.randperm(WIDTH, generator=generator)[:columns]
    places = torch.randint(len(rows), (columns,), generator=generator)
    rows[places, chosen] = 9.0
    return rows


def make_segments():
    return segments_on("cpu", np.repeat(np.arange(len(LENGTHS)), LENGTHS), PARENTS)


def make_layer():
    weight = torch.randn(48, WIDTH, generator=torch.Generator().manual_seed(1)).half()
    layer = Linear8bitLt(WIDTH, 48, bias=False, has_fp16_weights=False, threshold=THRESHOLD)
    layer.weight = Int8Params(weight, requires_grad=False, has_fp16_weights=False)
    layer = layer.to("cpu").eval()
    separate_sequences(layer)
    return layer


@pytest.mark.parametrize(
    ("columns", "room"), [(0, 0), (1, 64), (64, 64), (65, 256), (257, 1024), (1025, 2048)]
)
def test_room_grows_in_steps_up_to_the_width(columns, room):
    assert room_for(columns, 2048) == room
    assert room_for(columns, 48) == min(room, 48)


def test_more_room_has_the_same_parts_and_further_ones():
    assert list(parts(2048)) == [(0, 64), (64, 256), (256, 1024), (1024, 2048)]
    assert list(parts(256)) == list(parts(2048))[:2]
    assert list(parts(48)) == [(0, 48)]
    assert list(parts(0)) == []


def test_rooms_are_known_for_passes_of_about_the_length_that_was_counted():
    rooms = Rooms()
    assert rooms.of("q", 10) is None
    rooms.learn("q", 50, width=512, is_near=False)
    rooms.learn("o", 0, width=512, is_near=False)
    rooms.learn("down", 0, width=512, is_near=True)
    rooms.counted(10)
    assert [rooms.of(name, 20) for name in ("q", "o", "down", "up")] == [256, 0, 64, None]
    assert rooms.of("q", 21) is None
    rooms.forget()
    assert rooms.of("q", 10) is None
    rooms.learn("q", 1, width=512, is_near=False)
    assert rooms.sizes()["q"] == 256


@pytest.mark.parametrize("room", [256, 320])
def test_codes_are_the_same_whatever_the_room(room):
    rows, segments = make_rows(100), make_segments()
    counted = quantize(rows, segments, THRESHOLD, None)
    roomy = quantize(rows, segments, THRESHOLD, room)
    assert counted.found == int(roomy.found) == 100
    assert torch.equal(counted.codes, roomy.codes)
    assert torch.equal(counted.scales, roomy.scales)
    for one, other in zip(counted.kept, roomy.kept, strict=False):
        assert torch.equal(one.columns, other.columns)
        assert torch.equal(one.values, other.values)
    assert not any(more.values.any() for more in roomy.kept[len(counted.kept) :])


@pytest.mark.parametrize(("columns", "room"), [(1, 0), (65, 64)])
def test_too_little_room_is_noticed(columns, room):
    assert int(quantize(make_rows(columns), make_segments(), THRESHOLD, room).found) > room


def test_values_near_the_threshold_are_noticed_where_none_reaches_it():
    rows, segments = make_rows(0), make_segments()
    assert not quantize(rows, segments, THRESHOLD, None).is_near
    rows[3, 5] = 3.5
    found = quantize(rows, segments, THRESHOLD, None)
    assert found.is_near
    assert found.found == 0


def test_a_pass_is_counted_once_and_then_only_where_columns_find_no_room(monkeypatch):
    layer, segments, rooms = make_layer(), make_segments(), Rooms()
    given = []
    plain = layers.quantize
    monkeypatch.setattr(
        layers, "quantize", lambda *inputs: given.append(inputs[3]) or plain(*inputs)
    )
    for columns, expected in ((30, [None]), (40, [64]), (90, [64, None]), (200, [256])):
        rows = make_rows(columns, seed=columns)[None]
        given.clear()
        with torch.inference_mode():
            found = run_packed(partial(layer, rows), segments, rooms)
        assert given == expected
        with torch.inference_mode(), packed(segments):
            assert torch.equal(found, layer(rows))


def test_pieces_cover_every_row_of_every_segment():
    segments = make_segments()
    pieces = segments.pieces.tolist()
    assert [segment for segment, _, _ in pieces] == [0, 0, 1, 2, 2, 3]
    assert [row for _, first, end in pieces for row in range(first, end)] == list(range(200))
    assert max(end - first for _, first, end in pieces) == PIECE_ROWS

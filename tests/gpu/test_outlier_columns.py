"""Kernels of our own against torch's, on the device that they are for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bitsandbytes.nn import Int8Params, Linear8bitLt

from pytest_quantcheck.measure.engine.llm_int8.codes import quantize
from pytest_quantcheck.measure.engine.llm_int8.fused import FusedSearch, fused_search
from pytest_quantcheck.measure.engine.llm_int8.layers import packed, run_packed, separate_sequences
from pytest_quantcheck.measure.engine.llm_int8.outliers import PlainSearch
from pytest_quantcheck.measure.engine.llm_int8.rooms import Rooms
from pytest_quantcheck.measure.engine.segments import segments_on
from pytest_quantcheck.measure.engine.undisturbed import undisturbed

pytestmark = pytest.mark.gpu

SHAPES = {
    "options": (2048, (90, *[25] * 40, 130, *[3] * 60), (-1, *[0] * 40, -1, *[41] * 60)),
    "documents": (8192, (2048, 700, 64, 65), (-1, -1, -1, -1)),
    "levels": (1000, (200, 0, 33, 1, 500), (-1, 0, 1, 2, 2)),
    "narrow": (48, (5, 3, 1, 4), (-1, 0, 0, 2)),
}


def make(name, spread):
    width, lengths, parents = SHAPES[name]
    generator = torch.Generator(device="cuda").manual_seed(0)
    rows = torch.randn((sum(lengths), width), generator=generator, device="cuda") * spread
    return rows.half(), segments_on("cuda", np.repeat(np.arange(len(lengths)), lengths), parents)


def test_kernels_of_our_own_run_here():
    assert fused_search(torch.device("cuda:0")) is FusedSearch


@pytest.mark.parametrize("spread", [0.5, 1.3, 3.0])
@pytest.mark.parametrize("name", SHAPES)
def test_both_searches_give_the_same(name, spread):
    rows, segments = make(name, spread)
    before = rows.clone()
    plain, fused = (kind(rows, segments, 6.0) for kind in (PlainSearch, FusedSearch))
    assert torch.equal(fused.count, plain.count)
    count, width = int(plain.count), rows.shape[1]
    for room in {max(count, 1), max(count, min(64, width)), width}:
        expected, found = (one.split(room) for one in (plain, fused))
        for part in ("columns", "codes", "scales"):
            assert torch.equal(getattr(found, part), getattr(expected, part))
        for one, other in zip(found.values, expected.values, strict=True):
            assert torch.equal(one, other)
    assert torch.equal(rows, before)


def test_rows_without_a_threshold_get_the_codes_of_bitsandbytes():
    rows, _ = make("documents", 3.0)
    rows[3] = 0
    rows[5, 7] = float("inf")
    rows[9, 2] = float("nan")
    for found, expected in zip(FusedSearch.codes(rows), PlainSearch.codes(rows), strict=True):
        assert torch.equal(found, expected)


def test_nothing_waits_where_room_is_known():
    rows, segments = make("options", 1.3)
    quantize(rows, segments, 6.0, 2048)
    torch.cuda.synchronize()
    with undisturbed():  # torch warns that this mode is a prototype
        torch.cuda.set_sync_debug_mode("error")
        try:
            with pytest.raises(RuntimeError, match="synchroniz"):
                rows.sum().item()
            found = [quantize(rows, segments, 6.0, room) for room in (0, 64, 2048)]
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert len(found) == 3


def test_room_changes_no_bit_of_what_layers_give():
    rows, segments = make("options", 1.3)
    layer = Linear8bitLt(2048, 512, bias=True, has_fp16_weights=False, threshold=6.0)
    weight = torch.randn(512, 2048, generator=torch.Generator().manual_seed(1)).half()
    layer.weight = Int8Params(weight, requires_grad=False, has_fp16_weights=False)
    layer = layer.cuda().eval()
    separate_sequences(layer)
    with torch.inference_mode():
        with packed(segments):
            expected = layer(rows[None])
        for margin in (1.0, 4.0, 100.0):
            rooms = Rooms(margin=margin)
            for _ in range(2):
                found = run_packed(lambda: layer(rows[None]), segments, rooms)
                assert torch.equal(found, expected)

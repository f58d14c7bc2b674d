"""LLM.int8 in packed rows: each row as if its sequence ended there, whoever is beside it."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
import torch

from pytest_quantcheck.measure.engine.llm_int8 import layers
from pytest_quantcheck.measure.engine.llm_int8.layers import packed, separate_sequences
from pytest_quantcheck.measure.engine.segments import Segments, segments_on

FEATURES = 64
PARENTS = (-1, 0, 0, 2, -1, 4, 2, -1)
"""Two trees, one of three levels, and a sequence of its own."""
LENGTHS = (5, 3, 1, 4, 6, 2, 3, 7)
OUTLIERS = {0: (3,), 1: (9, 40), 3: (17,), 4: (3, 22), 5: (9,), 7: (60,)}
"""Columns by segment."""


def make_layers(outputs=48, threshold=6.0):
    """Return one layer of bitsandbytes as it is, and as part of a model of ours."""
    from bitsandbytes.nn import Int8Params, Linear8bitLt

    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(outputs, FEATURES, generator=generator, dtype=torch.float16)
    made = []
    for _ in range(2):
        layer = Linear8bitLt(
            FEATURES, outputs, bias=True, has_fp16_weights=False, threshold=threshold
        )
        layer.weight = Int8Params(weight.clone(), requires_grad=False, has_fp16_weights=False)
        layer.bias = torch.nn.Parameter(torch.linspace(-1, 1, outputs), requires_grad=False)
        made.append(layer.to("cpu").eval())
    separate_sequences(made[1])
    return made


def make_rows(seed=1):
    """Return (t, k) and the segment of each row; the middle row of a segment holds its outliers."""
    rows = torch.randn(sum(LENGTHS), FEATURES, generator=torch.Generator().manual_seed(seed))
    segments = np.repeat(np.arange(len(LENGTHS)), LENGTHS)
    for segment, columns in OUTLIERS.items():
        place = np.flatnonzero(segments == segment)[LENGTHS[segment] // 2]
        rows[place, list(columns)] = 9.0
    return rows.clamp(-9, 9), segments


def path_of(segment):
    """Return the segments from the root to this one."""
    found = [segment]
    while PARENTS[found[0]] >= 0:
        found.insert(0, PARENTS[found[0]])
    return found


def one_by_one(plain, path):
    """Return what bitsandbytes gives the last row of each beginning of a sequence."""
    return torch.cat([run(plain, path[: stop + 1])[-1:] for stop in range(len(path))])


@torch.inference_mode()
def run(layer, rows, segments=None):
    with packed(segments) if segments else nullcontext():
        return layer(rows[None])[0]


def test_a_row_is_that_of_its_sequence_up_to_there_alone():
    plain, ours = make_layers()
    rows, of = make_rows()
    found = run(ours, rows, segments_on("cpu", of, PARENTS))
    for segment, length in enumerate(LENGTHS):
        path = torch.cat([rows[of == one] for one in path_of(segment)])
        expected = one_by_one(plain, path)[-length:]
        torch.testing.assert_close(found[of == segment], expected, rtol=0, atol=1e-4)


def test_bitsandbytes_alone_would_mix_the_columns_of_pack_mates():
    plain, ours = make_layers()
    rows, of = make_rows()
    found = run(ours, rows, segments_on("cpu", of, PARENTS))
    assert float((found - run(plain, rows)).abs().max()) > 0.01


def test_an_outlier_in_the_tail_leaves_the_rows_before_it_as_they_are():
    _, ours = make_layers()
    rows = torch.randn(12, FEATURES, generator=torch.Generator().manual_seed(2)).clamp(-4, 4)
    chain = segments_on("cpu", np.repeat([0, 1], [8, 4]), (-1, 0))
    quiet = run(ours, rows, chain)
    rows[10, 7] = 20.0
    loud = run(ours, rows, chain)
    assert torch.equal(loud[:8], quiet[:8])
    assert torch.equal(loud[8:10], quiet[8:10])
    # The column is in 16 bits from there on, also for the row without the outlier.
    assert not torch.equal(loud[11:], quiet[11:])


def test_an_outlier_in_the_prefix_is_seen_by_every_segment_below_it():
    plain, ours = make_layers()
    rows = torch.randn(9, FEATURES, generator=torch.Generator().manual_seed(3)).clamp(-4, 4)
    rows[0, 5] = -20.0
    of = np.repeat([0, 1, 2], 3)
    found = run(ours, rows, segments_on("cpu", of, (-1, 0, 1)))
    torch.testing.assert_close(found, run(plain, rows), rtol=0, atol=1e-5)


def test_rows_do_not_depend_on_where_sequences_part():
    _, ours = make_layers()
    rows, _ = make_rows()
    whole = run(ours, rows, segments_on("cpu", np.zeros(len(rows), int), (-1,)))
    for cut in (1, 9, 20):
        of = np.repeat([0, 1], [cut, len(rows) - cut])
        torch.testing.assert_close(
            run(ours, rows, segments_on("cpu", of, (-1, 0))), whole, rtol=0, atol=1e-5
        )


def test_a_pack_without_outliers_is_multiplied_in_8_bits():
    plain, ours = make_layers()
    rows = torch.randn(6, FEATURES, generator=torch.Generator().manual_seed(4)).clamp(-4, 4)
    found = run(ours, rows, segments_on("cpu", np.repeat([0, 1], 3), (-1, -1)))
    assert torch.equal(found, run(plain, rows))


def test_layers_without_a_threshold_go_the_usual_way():
    plain, ours = make_layers(threshold=0.0)
    rows, of = make_rows()
    assert torch.equal(run(ours, rows, segments_on("cpu", of, PARENTS)), run(plain, rows))


def test_inputs_of_another_length_are_no_part_of_the_pack():
    plain, ours = make_layers()
    rows, of = make_rows()
    with torch.inference_mode(), packed(segments_on("cpu", of, PARENTS)):
        assert torch.equal(ours(rows[None, :9]), plain(rows[None, :9]))


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_value_that_is_not_finite_stays_in_its_row(poison):
    plain, ours = make_layers()
    rows, of = make_rows()
    place = int(np.flatnonzero(of == 4)[0])
    rows[place, 3] = poison
    found = run(ours, rows, segments_on("cpu", of, PARENTS))
    others = np.arange(len(rows)) != place
    assert not found[place].isfinite().all()
    assert found[others].isfinite().all()
    path = torch.cat([rows[of == one] for one in (0, 2, 3)])
    torch.testing.assert_close(found[of == 3], one_by_one(plain, path)[-4:], rtol=0, atol=1e-4)


class Siblings(torch.nn.Module):
    """Two layers of one parent."""

    def __init__(self):
        super().__init__()
        self.first, self.second = make_layers()
        separate_sequences(self)


def test_siblings_quantize_common_inputs_once_and_leave_them_as_they_are(monkeypatch):
    siblings, (_, alone) = Siblings(), make_layers()
    rows, of = make_rows()
    segments = segments_on("cpu", of, PARENTS)
    expected = run(alone, rows, segments)
    counted = []
    quantize = layers.quantize
    monkeypatch.setattr(layers, "quantize", lambda *given: counted.append(1) or quantize(*given))
    inputs, halves = rows[None].clone(), rows[None].half()
    with torch.inference_mode(), packed(segments):
        assert torch.equal(siblings.first(inputs)[0], expected)
        assert torch.equal(siblings.second(inputs)[0], expected)
        assert len(counted) == 1
        other = inputs.flip(1)
        assert not torch.equal(siblings.first(other)[0], expected)
        siblings.second(halves)
        assert len(counted) == 3
    assert torch.equal(inputs[0], rows)
    assert torch.equal(halves[0], rows.half())


def test_the_pack_ends_with_its_context_also_after_an_error():
    plain, ours = make_layers()
    rows, of = make_rows()
    with pytest.raises(RuntimeError, match="broken"), packed(segments_on("cpu", of, PARENTS)):
        raise RuntimeError("broken")
    assert torch.equal(run(ours, rows), run(plain, rows))


def test_parents_and_depth_are_counted_from_the_roots():
    found = segments_on("cpu", [0, 0, 1, 2, 3], PARENTS)
    assert isinstance(found, Segments)
    assert found.parents.tolist() == [8, 0, 0, 2, 8, 4, 2, 8, 8]
    assert found.depth == 2
    assert found.starts.tolist() == [0, 2, 3, 4, 5, 5, 5, 5, 5]
    assert found.rows.dtype == found.parents.dtype == torch.int64


def tree_inputs(of, position):
    """Return a mask by which a row attends to its own path only, and positions along the path."""
    ancestors = torch.zeros(len(PARENTS), len(PARENTS), dtype=torch.bool)
    for segment in range(len(PARENTS)):
        ancestors[segment, path_of(segment)] = True
    of = torch.from_numpy(of)
    earlier = torch.ones(len(of), len(of), dtype=torch.bool).tril()
    return {
        "attention_mask": (ancestors[of][:, of] & earlier)[None, None],
        "position_ids": torch.from_numpy(position)[None],
        "use_cache": False,
    }


def test_a_model_scores_a_tree_as_it_scores_each_path_alone(load):
    model = load("llama_outliers", "int8").model
    of = np.repeat(np.arange(len(LENGTHS)), LENGTHS)
    starts = [sum(LENGTHS[one] for one in path_of(s)[:-1]) for s in range(len(LENGTHS))]
    position = np.concatenate(
        [np.arange(start, start + n) for start, n in zip(starts, LENGTHS, strict=True)]
    )
    ids = torch.from_numpy(np.random.default_rng(0).integers(4, 80, size=len(of)))
    with torch.inference_mode(), packed(segments_on("cpu", of, PARENTS)):
        found = model(ids[None], **tree_inputs(of, position)).logits[0]
    for segment in range(len(LENGTHS)):
        path = path_of(segment)
        own = np.concatenate([np.flatnonzero(of == one) for one in path])
        lengths = [LENGTHS[one] for one in path]
        alone = segments_on(
            "cpu", np.repeat(np.arange(len(path)), lengths), range(-1, len(path) - 1)
        )
        with torch.inference_mode(), packed(alone):
            expected = model(ids[own][None], use_cache=False).logits[0]
        torch.testing.assert_close(found[own], expected, rtol=0, atol=1e-4)

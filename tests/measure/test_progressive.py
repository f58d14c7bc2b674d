"""Workloads measured batch by batch, as far as a watcher asks."""

from __future__ import annotations

import fake_model
import numpy as np
import pytest
from batched import N, Until, essay, ids_of, in_batches, make_runner
from fake_model import INT4, INT8, REFERENCE, make_pool

from pytest_quantcheck import Generation
from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.measure.course import Portion


def test_measuring_stops_where_the_watcher_has_enough():
    watcher = Until(12)
    workload = essay()

    found = make_runner().measure_pair(INT8, workload, watcher)

    assert [len(batch.variant.examples) for batch in watcher.batches] == [8, 4]
    assert set(ids_of(found.variant)) == set(watcher.ids)
    assert ids_of(found.reference) == ids_of(found.variant)
    assert ids_of(found.variant) == [one.id for one in workload.examples() if one.id in watcher.ids]
    assert (len(found.variant.outputs), found.variant.n_planned) == (12, N)
    assert found.variant.scores["exact_match"].ids == tuple(ids_of(found.variant))
    whole = make_runner(portion=Portion()).measure_pair(INT8, essay()).variant
    assert found.variant.fingerprint == whole.fingerprint


def test_batches_of_one_part_are_forwarded_together():
    pool = make_pool()
    watcher = Until(13)

    found = make_runner(pool).measure_pair(INT8, essay(), watcher)

    assert [len(batch.variant.examples) for batch in watcher.batches] == [8, 4, 3]
    assert len(found.variant.examples) == 15
    # 12 of 40 is past another tenth, 15 is not: the part goes on to 20.
    assert [len(streams) for _, streams in pool.get(INT8).decodings] == [8, 4, 8]


def test_what_was_measured_is_extended_and_never_measured_again():
    pool = make_pool()
    runner, workload = make_runner(pool), essay()
    first, second = Until(8), Until(20)

    runner.measure_pair(INT8, workload, first)
    runner.measure_pair(INT8, workload, second)
    replayed = Until(8)
    again = runner.measure_pair(INT8, workload, replayed)

    assert second.ids[:8] == first.ids == replayed.ids
    assert set(ids_of(again.variant)) == set(first.ids)
    assert sum(len(streams) for _, streams in pool.get(INT8).decodings) == 20
    assert sum(len(streams) for _, streams in pool.get(REFERENCE).decodings) == 20
    assert len(runner.measure_pair(INT8, workload).variant.examples) == N
    assert sum(len(streams) for _, streams in pool.get(INT8).decodings) == N


def test_which_tests_ran_before_changes_no_scores():
    def scores(*stops):
        runner, workload = make_runner(), essay()
        for stop in stops:
            runner.measure_pair(INT8, workload, Until(stop))
        return runner.measure_pair(INT8, workload, Until(12)).variant.scores["exact_match"]

    one, other = scores(), scores(30, 8)
    assert one.ids == other.ids
    assert one.values.tolist() == other.values.tolist()


def test_variants_share_the_reference():
    pool = make_pool()
    runner, workload = make_runner(pool), essay()

    runner.measure_pair(INT8, workload, Until(8))
    runner.measure_pair(INT4, workload, Until(20))

    assert sum(len(streams) for _, streams in pool.get(REFERENCE).decodings) == 20
    assert sum(len(streams) for _, streams in pool.get(INT8).decodings) == 8


def test_a_judge_is_asked_once_and_about_the_measured_examples_only():
    seen = []

    def judge(example, reference, variant):  # noqa: ARG001
        seen.append(example["id"])
        return 0.5

    runner, workload = make_runner(), essay(judge=judge)
    watcher = Until(8)
    runner.measure_pair(INT8, workload, watcher)
    runner.measure_pair(INT8, workload, Until(12))

    assert len(seen) == len(set(seen)) == 12
    assert set(seen[:8]) == set(watcher.ids)


def test_a_reference_that_must_leave_is_measured_whole_and_first():
    fake_model.SIZES.update({"fp16": 400, "int8": 400})
    pool = make_pool()
    runner, watcher = make_runner(pool), Until(8)

    found = runner.measure_pair(INT8, essay(), watcher)

    assert len(found.reference.examples) == 8
    assert fake_model.LOADS == ["fp16", "int8"]
    assert sum(len(streams) for _, streams in pool.get(INT8).decodings) == 8


def test_an_error_behind_the_stop_is_for_those_who_get_there():
    late = essay().examples()
    runner = make_runner()
    watcher = Until(8)
    runner.measure_pair(INT8, essay(), watcher)
    bad = next(one.id for one in late if one.id not in watcher.ids)

    def score(output, example):  # noqa: ARG001
        if example["id"] == bad:
            raise ZeroDivisionError
        return 1

    workload = essay(score=score)
    assert len(runner.measure_pair(INT8, workload, Until(8)).variant.examples) == 8
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            runner.measure_pair(INT8, workload)
    assert len(runner.measure_pair(INT8, workload, Until(8)).variant.examples) == 8


def test_a_reference_that_breaks_ahead_of_need_breaks_who_gets_there():
    fake_model.SIZES.update({"fp16": 400, "int8": 400})
    order = Until(N)
    make_runner().measure_pair(INT8, essay(), order)
    rows = [
        {"id": name, "prompt": "p" * (80 if name == order.ids[-1] else 3), "answer": "x"}
        for name in order.ids
    ]
    workload = Generation.from_examples(rows, name="essay", max_new_tokens=4)
    runner = make_runner()

    assert len(runner.measure_pair(INT8, workload, Until(8)).variant.examples) == 8
    with pytest.raises(MeasurementError, match=f"example {order.ids[-1]} of essay"):
        runner.measure_pair(INT8, workload)


def test_warnings_count_over_all_parts():
    runner, workload = make_runner(), essay(extract=r"([13579])$")

    some = runner.measure_pair(INT8, workload, Until(12)).variant
    whole = runner.measure_pair(INT8, workload).variant

    n_even = sum(int(i) < 20 for i in (one.id[1:] for one in some.examples))
    del n_even
    found = [sum(out.text[-1:] not in "13579" for out in one.outputs) for one in (some, whole)]
    assert some.warnings == (
        f"extract= found nothing in {found[0]} of 12 outputs, which count as wrong",
    )
    assert whole.warnings == (
        f"extract= found nothing in {found[1]} of 40 outputs, which count as wrong",
    )


def test_progress_counts_on_over_parts():
    events = []

    class Recorder:
        def start(self, variant, workload, total):
            events.append((variant, workload, total))

        def advance(self, done, tokens):  # noqa: ARG002
            events.append(done)

        def finish(self): ...

    make_runner(progress=Recorder()).measure(REFERENCE, essay())

    counts = [event for event in events if isinstance(event, int)]
    assert counts[-1] == N
    assert counts == sorted(counts)
    assert {event for event in events if isinstance(event, tuple)} == {("fp16", "essay", N)}


def test_clusters_have_one_code_over_all_batches_and_are_never_cut():
    rows = [
        {"prompt": f"{i:02}", "answer": "x"} | ({"cluster": f"c{i // 3}"} if i < 30 else {})
        for i in range(N)
    ]
    workload = Generation.from_examples(rows, name="essay", max_new_tokens=4)
    sizes = []

    def ends(found, metrics):
        sizes.extend(found)
        assert {metric.name for metric in metrics} == {*workload.metrics}
        return tuple(np.cumsum(found)[4::5].tolist())

    watcher = Until(N)
    portion = Portion(batched_from=1, batch_ends=ends)
    whole = make_runner(portion=portion).measure_pair(INT8, workload, watcher).variant

    assert sorted(sizes) == [1] * 10 + [3] * 10
    codes = {}
    for batch in watcher.batches:
        scores = batch.variant.scores["exact_match"]
        assert scores.clusters.tolist() == batch.reference.scores["empty"].clusters.tolist()
        for example, code in zip(batch.variant.examples, scores.clusters, strict=True):
            key = example.cluster or example.id
            assert codes.setdefault(key, code) == code
        assert not {*scores.clusters} & {
            code
            for other in watcher.batches
            if other is not batch
            for code in other.variant.scores["exact_match"].clusters
        }
    assert len(set(codes.values())) == len(codes) == 20
    assert [codes[one.cluster or one.id] for one in whole.examples] == [
        *whole.scores["exact_match"].clusters
    ]


def test_small_workloads_are_measured_at_once_as_they_stand():
    watcher = Until(1)
    pool = make_pool()

    make_runner(pool, portion=in_batches(N + 1)).measure_pair(INT8, essay(), watcher)

    assert watcher.ids == [f"e{i}" for i in range(N)]
    assert len(pool.get(INT8).decodings) == 1

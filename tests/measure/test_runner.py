"""Pool, runner and handle on a backend without torch."""

from __future__ import annotations

import gc
import math
import subprocess
import sys
import weakref
from pathlib import Path

import fake_model
import pytest
from fake_model import COPIED, INT8, REFERENCE, make_pool, variant

from pytest_quantcheck import Documents, Generation, MultipleChoice
from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.measure.course import Portion
from pytest_quantcheck.measure.runner import Runner
from pytest_quantcheck.workloads.custom import Scored


def make_runner(pool=None, **options):
    return Runner(pool or make_pool(), reference=REFERENCE, **options)


def mc(name="mc", choice="b"):
    rows = [{"context": "Q:", "choices": ["a", choice], "answer": 0}]
    return MultipleChoice.from_examples(rows, name=name)


def test_a_measurement_holds_scores_and_where_they_are_from():
    ticks = iter([10.0, 12.5])
    workload = mc()
    measured = make_runner(clock=lambda: next(ticks)).measure(REFERENCE, workload)
    assert measured.variant == REFERENCE
    assert (measured.workload_name, measured.kind) == ("mc", "MultipleChoice")
    assert measured.fingerprint == workload.fingerprint(workload.examples())
    assert measured.examples == workload.examples()
    assert set(measured.scores) == {"accuracy", "accuracy_norm"}
    assert (measured.seconds, measured.tokens) == (2.5, 2)
    assert len(measured.outputs) == 1


def test_equal_workloads_are_measured_once_under_their_own_names():
    runner = make_runner()
    one = runner.measure(REFERENCE, mc("one"))
    other = runner.measure(REFERENCE, mc("other"))
    assert (one.workload_name, other.workload_name) == ("one", "other")
    assert one.scores is other.scores
    assert runner.measure(REFERENCE, mc(choice="c")).scores is not one.scores
    assert runner.measure(INT8, mc()).scores is not one.scores


def test_scorers_of_the_users_own_are_never_confused():
    def workload(score):
        return Scored(["ab"], score=score, name="own", max_new_tokens=4, bounds=None)

    runner = make_runner()
    good, bad = workload(lambda *_: 1.0), workload(lambda *_: 0.0)
    assert runner.measure(REFERENCE, good).scores["score"].values.tolist() == [1.0]
    assert runner.measure(REFERENCE, bad).scores["score"].values.tolist() == [0.0]
    assert runner.measure(REFERENCE, good).scores is runner.measure(REFERENCE, good).scores


def test_max_examples_takes_a_seeded_subset():
    rows = [{"text": "a" * number} for number in range(1, 60)]
    workload = Documents.from_examples(rows, name="docs")
    small, other = (
        make_runner(portion=Portion(max_examples=20, seed=seed)).measure(REFERENCE, workload)
        for seed in (3, 4)
    )
    assert len(small.examples) == len(small.outputs) == 20
    assert small.scores["perplexity"].ids != other.scores["perplexity"].ids


def test_an_error_is_raised_again_for_who_asks_without_measuring_again():
    rows = [{"prompt": "p" * 80, "answer": "x"}]
    workload = Generation.from_examples(rows, name="gen", max_new_tokens=4)
    runner = make_runner()
    caught = []
    for _ in range(2):
        with pytest.raises(MeasurementError, match="context holds 50") as info:
            runner.measure(REFERENCE, workload)
        caught.append(info.value)
    assert caught[0] is caught[1]


def test_an_error_of_the_users_scorer_keeps_its_place_in_the_source():
    def score(output, example):  # noqa: ARG001
        raise ZeroDivisionError

    workload = Scored(["ab"], score=score, name="own", max_new_tokens=4, bounds=None)
    runner = make_runner()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError) as info:
            runner.measure(REFERENCE, workload)
        assert info.traceback[-1].name == "score"


def test_a_failed_measurement_keeps_no_model_alive():
    rows = [{"prompt": "p" * 80, "answer": "x"}]
    workload = Generation.from_examples(rows, name="gen", max_new_tokens=4)
    pool = make_pool()
    runner = make_runner(pool)
    alive = weakref.ref(pool.get(REFERENCE))
    with pytest.raises(MeasurementError):
        runner.measure(REFERENCE, workload)
    pool.close()
    gc.collect()
    assert alive() is None


def test_a_copy_of_the_reference_is_refused_before_it_is_scored():
    with pytest.raises(UsageError, match="copied claims quantization, and all of its 1 weights"):
        make_runner().measure(COPIED, mc())


def test_the_reference_is_not_compared_with_itself():
    runner = Runner(make_pool(), reference=INT8)
    assert runner.measure(INT8, mc()).variant == INT8


def test_the_reference_is_measured_on_everything_before_it_must_leave():
    fake_model.SIZES.update({"fp16": 400, "int8": 400})
    runner = make_runner()
    broken = Generation.from_examples(
        [{"prompt": "p" * 80, "answer": "x"}], name="gen", max_new_tokens=4
    )
    runner.prefetch_reference([mc(), broken, mc("two", "c")], variant=INT8)
    runner.measure(INT8, mc())
    for workload in (mc(), mc("two", "c")):
        runner.measure(REFERENCE, workload)
    with pytest.raises(MeasurementError, match="context holds 50"):
        runner.measure(REFERENCE, broken)
    assert fake_model.LOADS == ["fp16", "int8"]


def test_nothing_is_measured_early_where_both_fit():
    runner = make_runner()
    runner.prefetch_reference([mc()])
    assert fake_model.LOADS == []


def test_a_reference_that_cannot_be_loaded_is_left_to_the_tests():
    runner = Runner(make_pool(), reference=variant("fp16", backend="gguf"))
    runner.prefetch_reference([mc()])
    with pytest.raises(UsageError, match="unknown backend"):
        runner.measure(variant("fp16", backend="gguf"), mc())


class Recorder:
    def __init__(self):
        self.events = []

    def start(self, variant, workload, total):
        self.events.append(("start", variant, workload, total))

    def advance(self, done, tokens):
        self.events.append(("advance", done, tokens))

    def finish(self):
        self.events.append(("finish",))


def test_progress_is_told_of_each_measurement_once_and_of_its_end():
    recorder = Recorder()
    runner = make_runner(progress=recorder)
    runner.measure(REFERENCE, mc())
    runner.measure(REFERENCE, mc())
    assert recorder.events == [
        ("start", "fp16", "mc", 1),
        ("advance", 0, 1),
        ("advance", 1, 2),
        ("finish",),
    ]


def test_closing_frees_and_forgets():
    runner = make_runner()
    runner.measure(REFERENCE, mc())
    runner.close()
    runner.measure(REFERENCE, mc())
    assert fake_model.LOADS == ["fp16", "fp16"]


def test_a_handle_answers_without_keeping_the_variant():
    pool = make_pool()
    handle = make_runner(pool).handle(INT8)
    assert repr(handle) == "<int8 (LLM.int8) of /models/desk>"
    assert fake_model.LOADS == []
    assert handle.device == "cpu"
    assert handle.weight_bytes == 1000
    assert handle.tokenizer == "characters"
    assert handle.generate(["ab", "cd"], 1) == ["b", "d"]
    assert handle.loglikelihood("Q: ", "ab") == -3.0
    assert handle.perplexity("a" * 70) == pytest.approx(math.e)
    assert handle.model == "rules"
    with pytest.raises(MeasurementError, match="loglikelihood: context and continuation take 61"):
        handle.loglikelihood("Q", "a" * 60)
    with pytest.raises(MeasurementError, match=r"^prompt 1: a prompt of 51 tokens"):
        handle.generate(["a", "a" * 50], 1)


def test_torch_is_not_imported_for_a_backend_without_it():
    code = """
import sys
from pytest_quantcheck import MultipleChoice
from pytest_quantcheck.core.protocols import BackendSpec
from pytest_quantcheck.core.variant import Variant
from pytest_quantcheck.measure.device import choose_device
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.protocols import ModelSource
from pytest_quantcheck.measure.runner import Runner
spec = BackendSpec(name="fake", target="fake_model:FakeBackend")
device = choose_device("cpu").device
pool = Pool({"fake": spec}, ModelSource(model="m", device=device), 0.9)
reference = Variant(name="fp16", precision="fp16", backend="fake")
runner = Runner(pool, reference=reference)
rows = [{"context": "Q:", "choices": ["a", "b"], "answer": 0}]
workload = MultipleChoice.from_examples(rows, name="mc")
runner.measure(Variant(name="int8", precision="int8", backend="fake"), workload)
runner.close()
print(sorted({"torch", "transformers", "bitsandbytes"} & set(sys.modules)))
"""
    here = Path(__file__)
    paths = (str(here.parent), str(here.parents[2]))
    found = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}\n{code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "[]"

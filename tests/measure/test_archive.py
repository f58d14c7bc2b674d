"""A second run reads what the first one measured, and nothing that it did not ask for."""

from __future__ import annotations

from dataclasses import fields, replace

import fake_model
import numpy as np
import pytest
from fake_model import FAKE, INT8, REFERENCE, FakeModel, make_pool

from pytest_quantcheck import Documents, Generation, MultipleChoice
from pytest_quantcheck.core.protocols import BackendSpec
from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.measure.archive import Archive
from pytest_quantcheck.measure.course import Portion
from pytest_quantcheck.measure.identity import identity_of
from pytest_quantcheck.measure.kept import packed, unpacked
from pytest_quantcheck.measure.measurement import Doubt, Measurement, Output
from pytest_quantcheck.measure.part import PartOfCourse
from pytest_quantcheck.measure.protocols import Weights
from pytest_quantcheck.measure.runner import Runner
from pytest_quantcheck.stats.scores import ExampleScores
from pytest_quantcheck.store.disk import Store
from pytest_quantcheck.store.files import FileDigests
from pytest_quantcheck.workloads.custom import Scored

SPEC = replace(FAKE["fake"], version="1")
ENVIRONMENT = {"device": "a CPU", "torch": "2.12"}


@pytest.fixture
def run_again(tmp_path):
    """A function that returns a runner as a new run would have one."""
    numbers = iter(range(100))

    def again(*, source=None, spec=SPEC, environment=ENVIRONMENT, **options):
        fake_model.LOADS.clear()
        pool = make_pool()
        archive_options = {name: options.pop(name) for name in ("is_update",) if name in options}
        files = FileDigests(None)
        where = source or pool.source
        archive = Archive(
            Store(tmp_path),
            identify=lambda one: identity_of(one, where, spec, files=files),
            environment=environment,
            run=options.pop("run", f"run {next(numbers)}"),
            **archive_options,
        )
        runner = Runner(
            pool, reference=options.pop("reference", REFERENCE), archive=archive, **options
        )
        runner.archive = archive
        return runner

    return again


def mc(choice="b", n=1, **fields_):
    rows = [
        {"context": f"Q{i}:", "choices": ["a", choice], "answer": 0, **fields_} for i in range(n)
    ]
    return MultipleChoice.from_examples(rows, name="mc")


def was_measured(runner, workload, **options):
    """Return whether the reference had to be loaded for it."""
    runner.measure(REFERENCE, workload, **options)
    return bool(fake_model.LOADS)


def equal(one, other):
    """Whether two measurements are the same, bit for bit."""
    for field in fields(Measurement):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if field.name == "scores":
            for name, scores in a.items():
                for part in fields(ExampleScores):
                    x, y = getattr(scores, part.name), getattr(b[name], part.name)
                    assert np.array_equal(x, y) if isinstance(x, np.ndarray) else x == y
                    assert type(x) is type(y)
        elif field.name != "is_stored":
            assert a == b, field.name
            assert type(a) is type(b)
    return True


@pytest.mark.parametrize(
    "make",
    [
        lambda: mc(n=3, cluster="all", slice="some"),
        lambda: Documents.from_examples([{"text": "a" * 120}, {"text": "b"}], name="docs"),
        lambda: Generation.from_examples(
            [{"prompt": "ab", "answer": "ba"}], name="gen", max_new_tokens=1, extract="[xy]"
        ),
    ],
    ids=["choice", "documents", "generation"],
)
def test_a_kept_measurement_equals_the_measured_one(run_again, make):
    first = run_again().measure(REFERENCE, make())
    runner = run_again()
    second = runner.measure(REFERENCE, make())
    assert fake_model.LOADS == []
    assert equal(first, second)
    assert (first.n_stored, second.n_stored) == (0, len(first.examples))
    assert runner.archive.notices == ()


def test_every_kind_of_value_comes_back(run_again):
    runner = run_again()
    course = runner.course(mc(n=2))
    measured = replace(
        runner.measure(REFERENCE, mc(n=2)),
        outputs=(
            Output(
                text="\ud83d\ude00"[:0] + "\u00e9\x00", margin=np.float64(0.1), n_tokens=np.int64(3)
            ),
            Output(text="", margin=float("-inf")),
        ),
        doubts=(Doubt(text="{count}", is_found=(True, np.bool_(0))),),
        first_token_ids=(1, 2),
        is_cut=(True, False),
        pack_limit=3,
    )
    found = unpacked(packed(measured), REFERENCE, course, part=0, is_stored=True)
    assert equal(replace(measured, is_stored=()), replace(found, is_stored=()))


def test_a_value_of_no_known_kind_is_not_written():
    runner = Runner(make_pool(), reference=REFERENCE)
    measured = runner.measure(REFERENCE, mc())
    with pytest.raises(TypeError, match="compute_dtype: <object object"):
        packed(replace(measured, compute_dtype=object()))


def test_the_reference_is_never_loaded_for_what_was_kept(run_again):
    for expected in (["fp16", "int8"], ["int8"]):
        runner = run_again()
        pair = runner.measure_pair(INT8, mc())
        runner.prefetch_reference([mc()])
        assert runner.weights(REFERENCE).stored_bytes == 1000
        assert expected == fake_model.LOADS
    assert pair.reference.n_stored == 1
    assert pair.variant.n_stored == 0


def test_what_tensors_say_is_kept_whole(run_again):
    first = run_again().weights(REFERENCE)
    second = run_again().weights(REFERENCE)
    assert fake_model.LOADS == []
    assert first == second
    assert isinstance(second, Weights)


OTHERS = {
    "examples": {"workload": lambda: mc("c")},
    "subset": {"workload": lambda: mc(n=9), "portion": Portion(max_examples=3)},
    "packs": {"pack_limit": 4},
    "backend": {"spec": replace(SPEC, version="2")},
    "target": {"spec": BackendSpec(name="fake", target="another:Backend", version="1")},
    "no version": {"spec": FAKE["fake"]},
    "versions": {"environment": {**ENVIRONMENT, "torch": "2.13"}},
}


@pytest.mark.parametrize("what", OTHERS)
def test_what_differs_is_measured(run_again, what):
    options = dict(OTHERS[what])
    workload = options.pop("workload", mc)
    limits = {"pack_limit": options.pop("pack_limit", None)}
    assert was_measured(run_again(), mc())
    assert was_measured(run_again(), mc(n=9))
    assert was_measured(run_again(**options), workload(), **limits)
    assert not was_measured(run_again(), mc())


def test_a_name_says_nothing_of_a_variant(run_again):
    assert was_measured(run_again(), mc())
    renamed = replace(REFERENCE, name="half")
    runner = run_again(reference=renamed)
    assert runner.measure(renamed, mc()).variant == renamed
    assert fake_model.LOADS == []


def test_only_the_reference_is_kept(run_again):
    for loads in (["fp16", "int8"], ["int8"]):
        measured = run_again().measure(INT8, mc())
        assert (measured.n_stored, fake_model.LOADS) == (0, loads)


def test_noise_is_measured_in_every_run(run_again):
    for _ in range(2):
        runner = run_again(is_update=True)
        pair = runner.noise.measure(mc(n=3))
        assert (pair.reference.n_stored, fake_model.LOADS) == (0, ["fp16"])


def test_an_update_measures_once_and_replaces(run_again):
    first = run_again().measure(REFERENCE, mc())
    ticks = iter(range(100))
    updated = run_again(is_update=True, run="u", clock=lambda: next(ticks)).measure(REFERENCE, mc())
    assert fake_model.LOADS == ["fp16"]
    assert updated.n_stored == 0
    other_worker = run_again(is_update=True, run="u").measure(REFERENCE, mc())
    assert fake_model.LOADS == []
    assert other_worker.n_stored == 0
    later = run_again().measure(REFERENCE, mc())
    assert later.seconds == updated.seconds != first.seconds


def test_another_environment_is_said_in_one_line(run_again):
    was_measured(run_again(), mc())
    runner = run_again(environment={**ENVIRONMENT, "torch": "2.13"})
    for workload in (mc(), mc("c")):
        runner.measure(REFERENCE, workload)
    assert runner.archive.notices == (
        "kept reference scores are of torch 2.12, here 2.13: measured again",
    )
    assert not was_measured(run_again(), mc())  # both are kept


def test_a_failure_is_not_kept(run_again):
    broken = Generation.from_examples(
        [{"prompt": "p" * 80, "answer": "x"}], name="gen", max_new_tokens=4
    )
    for _ in range(2):
        with pytest.raises(MeasurementError, match="context holds 50"):
            run_again().measure(REFERENCE, broken)
        assert fake_model.LOADS == ["fp16"]


def test_a_damaged_entry_is_measured_again(run_again, tmp_path):
    was_measured(run_again(), mc())
    for path in tmp_path.glob("*.entry"):
        path.write_bytes(path.read_bytes()[:-65])
    runner = run_again()
    assert was_measured(runner, mc())
    assert len(runner.archive.notices) == 1
    assert not was_measured(run_again(), mc())


def test_parts_are_kept_one_by_one(run_again):
    portion = Portion(batched_from=4, batch_ends=lambda *_: (2, 4, 6))
    workload = mc(n=6)
    run_again(portion=portion).measure(REFERENCE, workload)
    n_parts = len(run_again(portion=portion).course(workload).parts)
    assert n_parts > 1

    class Once:
        def update(self, _):
            return True

    first = run_again(portion=portion)
    pair = first.measure_pair(INT8, workload, Once())
    assert fake_model.LOADS == ["int8"]
    assert pair.reference.n_stored == len(pair.reference.examples) < 6


def test_callables_are_measured_in_every_run_unless_a_version_stands_for_them(run_again):
    def own(**options):
        return Scored(["ab"], score=lambda *_: 1.0, name="own", max_new_tokens=4, **options)

    assert was_measured(run_again(), own())
    assert was_measured(run_again(), own())
    assert was_measured(run_again(), own(version="1"))
    assert not was_measured(run_again(), own(version="1"))
    assert was_measured(run_again(), own(version="2"))


def test_a_reference_of_small_packs_has_the_variant_measured_in_them(run_again, monkeypatch):
    limits = []
    score = FakeModel.score

    def scarce(self, requests, *, advance=None):
        if self.digest == "fp16":
            self.pack_limit = 2  # as memory allowed that day
        limits.append((self.digest, self.pack_limit))
        return score(self, requests, advance=advance)

    monkeypatch.setattr(FakeModel, "score", scarce)
    run_again().measure_pair(INT8, mc())
    cold = [*limits]
    limits.clear()
    pair = run_again().measure_pair(INT8, mc())
    assert cold == [("fp16", 2), ("int8", None), ("int8", 2)]
    assert limits == [("int8", None), ("int8", 2)]
    assert pair.reference.pack_limit == pair.variant.pack_limit == 2


def test_without_an_identity_predictions_are_made_in_every_run(run_again):
    runner = run_again(spec=FAKE["fake"])
    work = PartOfCourse(variant=REFERENCE, course=runner.course(mc()), part=0, pack_limit=None)
    made = object()
    assert runner.archive.predictions(work, lambda: made) is made

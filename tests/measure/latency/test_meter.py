"""Timing variants out of a pool: side by side or load by load, and what is refused."""

from dataclasses import replace

import pytest
import quantcheck_fake as fake
from fake_serving import FakeWatcher

from pytest_quantcheck import Latency
from pytest_quantcheck.core.latency import Schedule, Stop
from pytest_quantcheck.core.protocols import BackendSpec
from pytest_quantcheck.core.variant import Variant
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.measure.latency.conditions import Unread, conditions_of
from pytest_quantcheck.measure.latency.meter import LatencyMeter, TimingTask, _plan
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.protocols import ModelSource

ROOMY, TIGHT = 10**9, fake.PARAMETERS * 2 + 1


def variant(precision, **options):
    return Variant(name=precision, precision=precision, backend="fake", **options)


REFERENCE, SLOWER = variant("fp16"), variant("tempo-130")


def pool(free_bytes=ROOMY, target="quantcheck_fake:FakeBackend"):
    """Return a pool that holds both variants, or one at a time."""
    specs = {"fake": BackendSpec(name="fake", target=target)}
    source = ModelSource(model="model", device="cpu")
    held = Pool(specs, source, 1.0, free_bytes=lambda _: free_bytes)
    held._budget_bytes = lambda: free_bytes  # what is held does not come on top
    return held


def meter(owner, **options):
    return LatencyMeter(owner, reference=REFERENCE, conditions=conditions_of, **options)


def task(variant=SLOWER, **options):
    options = {"prompt_tokens": 8, "new_tokens": 3, "repeats": 12} | options
    workload = Latency(**options)
    return TimingTask(variant=variant, workload=workload, batch_size=workload.batch_sizes[-1])


def slowness(samples):
    """How much longer the variant took than the reference."""
    seconds = [
        sum(run.e2e_seconds for run in samples.of(variant=is_variant))
        for is_variant in (False, True)
    ]
    return seconds[1] / seconds[0]


class Notes:
    """Progress that is written down."""

    def __init__(self):
        self.lines = []

    def start(self, variant, workload, total):
        self.lines.append(("start", variant, workload, total))

    def advance(self, done, tokens):
        self.lines.append(("advance", done, tokens))

    def finish(self):
        self.lines.append(("finish",))


@pytest.fixture(autouse=True)
def _fresh_notes():
    fake.LOADS.clear()
    fake.SERVED.clear()


def test_both_variants_serve_the_same_requests_side_by_side():
    found = meter(pool()).measure(task(batch_size=4))

    assert found.samples.schedule is Schedule.PAIRS
    assert (found.samples.n, found.samples.stopped) == (12, Stop.REPEATS)
    assert fake.LOADS == ["fp16", "tempo-130"]
    (first, shape), (second, other) = fake.SERVED
    assert [first, second] == ["fp16", "tempo-130"]
    assert shape == other == found.shape
    assert found.reference.memory.load_seconds > 0
    assert found.variant.memory.peak_bytes == 4 * 130 * 2**20
    assert slowness(found.samples) == pytest.approx(1.3, rel=0.02)


def test_variants_that_do_not_fit_together_are_loaded_block_by_block():
    owner = pool(TIGHT)

    timer, asked = meter(owner, seed=1), task(repeats=60)  # of which the variant comes first
    assert timer.memory(asked).variant.peak_bytes == 130 * 2**20
    found = timer.measure(asked)

    samples = found.samples
    assert samples.schedule is Schedule.LOADS
    assert samples.n == 12  # blocks of 8 runs for at most 60 pairs
    assert len(samples.runs) == 12 * 2 * 8
    assert len(fake.SERVED) == 24
    assert len(fake.LOADS) == 2 + 24  # memory first
    assert samples.is_variant[0]  # and was in memory: it is loaded anew all the same
    assert slowness(samples) == pytest.approx(1.3, rel=0.02)
    assert owner.resident == ()


def test_the_reference_may_be_timed_against_itself():
    found = meter(pool()).measure(task(REFERENCE))

    assert fake.LOADS == ["fp16"]
    assert len(fake.SERVED) == 2
    assert found.samples.of(variant=True) == found.samples.of(variant=False)


def test_a_pinned_variant_is_not_freed():
    owner = pool()
    owner.pin(REFERENCE)

    owner.release(REFERENCE)
    owner.release(SLOWER)  # nothing is there

    assert owner.resident == (REFERENCE,)


def test_several_batch_sizes_share_the_time_limit():
    asked = task(batch_size=(1, 2), seconds=1e-9)

    found = meter(pool()).measure(asked)

    assert _plan(asked.workload, Schedule.PAIRS, 0).seconds == 5e-10
    assert found.shape.batch_size == 2
    assert found.samples.stopped is Stop.SECONDS
    assert found.samples.n < 12


@pytest.mark.parametrize(("repeats", "blocks"), [(60, 12), (96, 12), (97, 13)])
def test_blocks_of_loads_hold_all_repeats_and_are_twelve_at_least(repeats, blocks):
    asked = task(repeats=repeats)

    assert _plan(asked.workload, Schedule.LOADS, 0).n_planned == blocks


@pytest.mark.parametrize("progress", [None, Notes()])
def test_timing_ends_when_the_watcher_says_so(progress):
    found = meter(pool(), progress=progress).measure(task(repeats=40), FakeWatcher(enough=12))

    assert (found.samples.n, found.samples.stopped) == (12, Stop.DECIDED)


def test_progress_is_told_at_each_look():
    notes = Notes()

    meter(pool(), progress=notes).measure(task(repeats=40, batch_size=4))

    assert notes.lines[0] == ("start", "tempo-130", "latency", 40)
    assert notes.lines[1] == ("advance", 12, 2 * 12 * 3 * 4)
    assert notes.lines[-1] == ("finish",)


def test_progress_counts_blocks_where_variants_are_loaded_in_turn():
    notes = Notes()

    meter(pool(TIGHT), progress=notes).measure(task(repeats=60))

    assert notes.lines[0] == ("start", "tempo-130", "latency", 12)
    assert notes.lines[-2][:2] == ("advance", 11)  # the last look is not asked for


def test_another_tokenizer_is_refused_and_remembered():
    timer = meter(pool())
    foreign = task(variant("foreign"), prompts=["abc"], prompt_tokens=None)

    errors = []
    for _ in range(2):
        with pytest.raises(UsageError, match="foreign has another tokenizer than the r") as caught:
            timer.measure(foreign)
        errors.append(caught.value)

    assert errors[0] is errors[1]
    assert fake.LOADS == ["fp16", "foreign"]


def test_the_seed_is_of_prompts_and_of_the_order():
    first, second, third = (meter(pool(), seed=seed).measure(task()) for seed in (1, 1, 2))

    assert first.shape == second.shape != third.shape
    assert first.samples.is_variant == second.samples.is_variant != third.samples.is_variant
    assert first.prompt_fingerprint == second.prompt_fingerprint != third.prompt_fingerprint


def test_a_cpu_tells_nothing_of_itself():
    found = conditions_of("cpu")

    assert isinstance(found, Unread)
    assert found.contention() == "unknown"
    assert found.read().reasons == ()


def test_what_is_timed_keeps_its_recipe():
    asked = task(mode="compiled")

    found = meter(pool()).measure(replace(asked, batch_size=1))

    assert found.workload is asked.workload
    assert found.samples.variant.fallback == "rules cannot be compiled"

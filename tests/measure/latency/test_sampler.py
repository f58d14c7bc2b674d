"""Pairs in random order, blocks of loads, throttling, and what ends the timing."""

import itertools
from functools import partial

import pytest
from fake_serving import FakeClock, FakeConditions, FakeServer, FakeWatcher, loaded

from pytest_quantcheck.core.latency import Schedule, Served, Stop
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.measure.latency.course import Surroundings
from pytest_quantcheck.measure.latency.protocols import DeviceState
from pytest_quantcheck.measure.latency.sampler import sample_loads, sample_pairs
from pytest_quantcheck.measure.latency.schedule import Sides, TimingPlan

HOT = DeviceState(reasons=("HwThermalSlowdown",), sm_clock_mhz=1980)
FAST, SLOW = (DeviceState(sm_clock_mhz=clock) for clock in (1980, 1200))


class Bench:
    """Two servers of 100 and 110 ms on one clock."""

    def __init__(self, **given):
        self.clock, self.log = FakeClock(), []
        self.conditions = FakeConditions(**given)
        self.servers = Sides(reference=self.server("R", 0.1), variant=self.server("V", 0.11))

    def server(self, name, seconds, **options):
        return FakeServer(self.clock, lambda _: seconds, name=name, log=self.log, **options)

    def surroundings(self, watcher=None):
        return Surroundings(
            conditions=self.conditions,
            watcher=watcher,
            now=self.clock.now,
            sleep=self.clock.sleep,
        )

    def pairs(self, n_planned=20, watcher=None, **options):
        plan = TimingPlan(schedule=Schedule.PAIRS, n_planned=n_planned, **({"seed": 1} | options))
        return sample_pairs(self.servers, plan, surroundings=self.surroundings(watcher))

    def loads(self, n_planned=8, watcher=None, **options):
        plan = TimingPlan(schedule=Schedule.LOADS, n_planned=n_planned, **({"seed": 1} | options))
        openers = Sides(
            reference=partial(loaded, self.servers.reference, self.log, self.clock),
            variant=partial(loaded, self.servers.variant, self.log, self.clock),
        )
        return sample_loads(openers, plan, surroundings=self.surroundings(watcher))


def test_each_pair_has_one_run_of_either_model_in_an_order_of_its_own():
    found = Bench().pairs(400)

    assert found.blocks == tuple(i for i in range(400) for _ in range(2))
    firsts, seconds = found.is_variant[::2], found.is_variant[1::2]
    assert all(first is not second for first, second in zip(firsts, seconds, strict=True))
    assert 160 < sum(firsts) < 240
    # The order of one pair says nothing of the next one's.
    same = sum(one is next_ for one, next_ in itertools.pairwise(firsts))
    assert 160 < same < 240


def test_the_order_depends_on_the_seed_alone():
    one, same, other = (Bench().pairs(seed=seed).is_variant for seed in (1, 1, 2))

    assert one == same
    assert one != other


def test_times_belong_to_the_model_that_ran():
    found = Bench().pairs()

    assert {run.e2e_seconds for run in found.of(variant=True)} == {0.11}
    assert {run.e2e_seconds for run in found.of(variant=False)} == {0.1}
    assert (found.n, found.n_planned, found.stopped) == (20, 20, Stop.REPEATS)


@pytest.mark.parametrize("warmups", [3, 5])
def test_runs_before_the_first_pair_do_not_count(warmups):
    bench = Bench()
    found = bench.pairs(warmups=warmups)

    assert bench.servers.reference.runs == bench.servers.variant.runs == 20 + warmups
    assert len(found.runs) == 40


@pytest.mark.parametrize("first_seconds", [0.0, 9.0], ids=["at once", "slow at first"])
def test_a_block_lasts_fifty_milliseconds_and_ends_at_each_look(first_seconds):
    bench = Bench()
    reference, variant = (
        FakeServer(bench.clock, lambda now, usual=usual: usual + (0 if now else first_seconds))
        for usual in (0.004, 0.006)
    )
    bench.servers = Sides(reference=reference, variant=variant)
    watcher = FakeWatcher(enough=999)
    bench.pairs(30, watcher)

    # Five pairs of 10 ms a block, cut at looks after 12, 15, 18, …: read before and after each.
    assert watcher.asked == [12, 15, 18, 21, 24, 27]
    assert bench.conditions.reads == 2 * (3 + 6)


def test_timing_ends_as_soon_as_all_is_decided():
    bench = Bench()
    found = bench.pairs(60, FakeWatcher(enough=24))

    assert (found.n, found.stopped, found.looks) == (24, Stop.DECIDED, (12, 18, 24))
    assert not found.is_final
    assert bench.servers.variant.runs == 24 + 3


def test_the_last_look_is_not_asked_for():
    watcher = FakeWatcher(enough=999)
    found = Bench().pairs(20, watcher)

    assert watcher.asked == [12, 14, 16, 18]
    assert (found.stopped, found.is_final) == (Stop.REPEATS, True)


def test_no_block_begins_after_the_time_limit():
    bench = Bench()
    found = bench.pairs(60, seconds=2.0)

    # Pairs take 0.21 s, three of them to warm up.
    assert (found.n, found.stopped, found.is_final) == (7, Stop.SECONDS, True)
    assert found.seconds == pytest.approx(10 * 0.21) == bench.clock.seconds


@pytest.mark.parametrize("block", [[FAST, HOT], [HOT, FAST]], ids=["at its end", "before it"])
def test_a_throttled_block_is_timed_again_after_a_pause(block):
    bench = Bench(states=[FAST, FAST, *block, FAST])
    found = bench.pairs(20)

    assert (found.n, found.n_discarded, found.throttled) == (20, 1, ())
    assert found.reasons == ("HwThermalSlowdown",)
    assert bench.clock.slept == [0.05]
    # One more run of either for the block, one to settle, three to warm up.
    assert bench.servers.variant.runs == 20 + 1 + 1 + 3


def test_what_is_timed_again_keeps_its_order():
    bench = Bench()
    bench.conditions.read = lambda: HOT if bench.log[-1][0] == "V" else DeviceState()
    found = bench.pairs(40)

    # Throttled only after pairs that end with the variant; their share stays that of the coin.
    assert found.n_discarded > 0
    assert found.is_variant == Bench().pairs(40).is_variant


@pytest.mark.parametrize("before", [[], [FAST, FAST]], ids=["the first", "the second"])
def test_a_slow_clock_counts_as_throttled(before):
    bench = Bench(states=[*before, FAST, SLOW, FAST])

    found = bench.pairs(20)

    assert (found.n_discarded, found.reasons) == (1, ("clock below 75 % of its fastest",))


def test_clock_and_temperature_are_kept_as_they_were_after_each_block():
    idle = DeviceState(sm_clock_mhz=345, temperature_celsius=30)
    states = [DeviceState(sm_clock_mhz=1980, temperature_celsius=one) for one in (41, 47, 44)]
    found = Bench(states=[idle, states[0], idle, states[1], idle, states[2]]).pairs(20)

    assert (found.sm_clock_mhz, found.temperature_celsius) == ((1980, 1980), (41, 47))
    silent = Bench().pairs(20)
    assert (silent.sm_clock_mhz, silent.temperature_celsius) == (None, None)


def test_three_quarters_of_the_fastest_clock_are_enough():
    bench = Bench(states=[FAST, FAST, FAST, DeviceState(sm_clock_mhz=1485), FAST])

    assert bench.pairs(20).n_discarded == 0


def test_an_idle_device_is_not_throttled():
    bench = Bench(states=[SLOW, FAST] * 20)

    assert bench.pairs(20).n_discarded == 0


def test_a_block_that_stays_throttled_is_kept_and_named():
    bench = Bench(states=[FAST, FAST] + [HOT] * 8 + [FAST])
    found = bench.pairs(20)

    assert (found.n, found.n_discarded, found.throttled) == (20, 3, (1,))
    assert bench.clock.slept == [0.05, 0.1, 0.2]


def test_a_throttled_block_of_several_pairs_is_named_whole_and_settled_by_one():
    bench = Bench(states=[FAST, FAST] + [HOT] * 8 + [FAST])
    bench.servers = Sides(reference=bench.server("R", 0.004), variant=bench.server("V", 0.006))
    found = bench.pairs(30)

    assert found.throttled == (5, 6, 7, 8, 9)
    # Three times five pairs were timed in vain, with one before each next try.
    assert bench.servers.variant.runs == 3 + 30 + 3 * (5 + 1)


def test_a_device_that_is_always_throttled_is_measured_so():
    found = Bench(states=[HOT]).pairs(20)

    assert (found.n, found.n_discarded) == (20, 20)
    assert found.throttled == tuple(range(20))


def test_other_users_of_the_device_are_named_if_seen_before_or_after():
    assert Bench(contention=["process 4711", "none"]).pairs().contention == "process 4711"
    assert Bench(contention=["unknown", "process 4711"]).pairs().contention == "process 4711"
    assert Bench(contention=["none", "unknown"]).pairs().contention == "unknown"
    assert Bench(contention=["none"]).pairs().contention == "none"


def test_samples_say_how_each_side_was_served():
    bench = Bench()
    variant = bench.server("V", 0.1, mode="compiled")
    variant.fallback = "a reason"
    bench.servers = Sides(reference=bench.servers.reference, variant=variant)
    found = bench.pairs()

    assert found.reference == Served(mode="eager", fallback="")
    assert found.variant == Served(mode="compiled", fallback="a reason")


def test_loads_are_blocks_of_several_runs_of_either():
    bench = Bench()
    found = bench.loads(runs_per_load=4)

    assert (found.n, found.schedule, found.stopped) == (8, Schedule.LOADS, Stop.REPEATS)
    assert len(found.runs) == 8 * 2 * 4
    for block in range(8):
        sides = [s for s, b in zip(found.is_variant, found.blocks, strict=True) if b == block]
        assert sides in ([False] * 4 + [True] * 4, [True] * 4 + [False] * 4)
    assert found.blocks == tuple(i for i in range(8) for _ in range(8))


def test_one_model_is_in_memory_at_a_time():
    bench = Bench()
    bench.loads(runs_per_load=2)

    text = " ".join(bench.log)
    assert text.count("load") == text.count("close") == 16
    for load in text.split("load ")[1:]:
        name = load[0]
        # Three to warm up, two that count.
        assert load.strip() == f"{name} {name} {name} {name} {name} close {name}"


def test_loads_end_early_and_are_timed_again_too():
    bench = Bench(states=[FAST, HOT, FAST])
    found = bench.loads(12, FakeWatcher(enough=9), runs_per_load=2)

    assert (found.n, found.stopped, found.looks) == (9, Stop.DECIDED, (8, 9))
    assert (found.n_discarded, found.throttled) == (1, ())


def test_loading_and_freeing_are_no_part_of_the_time_limit():
    bench = Bench()
    found = bench.loads(12, seconds=10.0, runs_per_load=2)

    # Five runs of either a block, 1.05 s.
    assert (found.n, found.stopped) == (10, Stop.SECONDS)
    assert found.seconds == pytest.approx(10 * 1.05)
    assert bench.clock.seconds == pytest.approx(10 * 1.05 + 20 * 35)


@pytest.mark.parametrize("before", [[], [FAST, FAST]], ids=["the first", "the second"])
def test_a_load_that_stays_throttled_marks_its_block(before):
    bench = Bench(states=[*before, *[HOT] * 8, FAST])

    assert bench.loads(runs_per_load=2).throttled == (0,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"schedule": Schedule.PAIRS, "n_planned": 11}, "11 pairs of runs are to be timed: a c"),
        ({"schedule": Schedule.LOADS, "n_planned": 7}, "comparison takes 8; raise repeats"),
        ({"schedule": Schedule.PAIRS, "n_planned": 12, "seconds": 0.0}, "a time limit above 0"),
    ],
)
def test_a_plan_that_can_decide_nothing_is_refused(options, message):
    with pytest.raises(UsageError, match=message):
        TimingPlan(seed=1, **options)


def test_a_clock_that_stands_still_does_not_hang():
    bench = Bench()
    bench.servers = Sides(reference=bench.server("R", 0.0), variant=bench.server("V", 0.0))

    assert bench.pairs(12).n == 12

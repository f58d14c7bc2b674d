"""What the driver says of a GPU, and what it does not say."""

# ruff: noqa: N802, N815 - as the library names them

from __future__ import annotations

import gc
import os
import sys

import pytest
from fake_nvml import Nvml

from pytest_quantcheck.measure.latency.nvml import NvmlConditions, _opened, nvml_conditions
from pytest_quantcheck.measure.latency.protocols import DeviceState

OWN = os.getpid()


def conditions(**said):
    return NvmlConditions(Nvml(**said), "1234")


def test_a_cool_gpu_says_its_clock_and_temperature():
    assert conditions().read() == DeviceState(reasons=(), sm_clock_mhz=1980, temperature_celsius=41)


@pytest.mark.parametrize(
    ("reasons", "named"),
    [
        (0x08, ("hardware slowdown",)),
        (0x20 | 0x40, ("software thermal slowdown", "hardware thermal slowdown")),
        (0x80 | 0x04, ("power brake",)),
        (0x01 | 0x02 | 0x04 | 0x10 | 0x100, ()),
    ],
)
def test_only_throttling_is_a_reason(reasons, named):
    assert conditions(reasons=reasons).read().reasons == named


def test_what_the_driver_does_not_tell_is_unknown():
    silent = conditions(silent=("reasons", "clock", "temperature", "processes", "memory"))
    assert silent.read() == DeviceState()
    assert silent.contention() == "unknown"
    assert silent.used_bytes() is None


def test_older_libraries_call_it_throttling():
    class Older(Nvml):
        nvmlDeviceGetCurrentClocksEventReasons = None

        def nvmlDeviceGetCurrentClocksThrottleReasons(self, _handle):
            return 0x40

    assert NvmlConditions(Older(), "GPU-1234").read().reasons == ("hardware thermal slowdown",)


def test_a_part_of_a_gpu_is_as_hot_as_the_whole():
    part = NvmlConditions(Nvml(parts=("MIG-77",), reasons=0x20), "77")
    assert part.read() == DeviceState(
        reasons=("software thermal slowdown",), sm_clock_mhz=1980, temperature_celsius=41
    )


@pytest.mark.parametrize(
    ("pids", "said"),
    [
        ((OWN,), "none"),
        ((OWN, OWN), "none"),
        ((999_002, OWN, 999_001, 999_002), "processes 999001, 999002"),
        ((), "unknown"),
        ((999_001,), "unknown"),
        ((999_002, 999_001), "processes 999001, 999002, of which one is this"),
    ],
)
def test_other_processes_are_named_where_ids_mean_something(pids, said):
    assert conditions(pids=pids).contention() == said


def test_memory_is_what_everybody_holds():
    assert conditions().used_bytes() == 7 * 2**30


@pytest.mark.parametrize("library", [Nvml(silent=("init",)), Nvml()])
def test_a_device_that_the_driver_does_not_know_is_not_read(library):
    assert _opened(library, "9999") is None
    assert library.opened == 0


def test_the_library_is_given_back():
    library = Nvml()
    found = _opened(library, "1234")
    assert library.opened == 1
    assert found.read().sm_clock_mhz == 1980
    del found
    gc.collect()
    assert library.opened == 0


def test_without_the_package_nothing_is_read(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert nvml_conditions("cuda:0") is None

"""Which workers of pytest-xdist may time."""

from types import SimpleNamespace

import pytest

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.plugin.alone import GIVEN, N_SHARING, VISIBLE, check_alone, check_own_gpu

ALL = "0,1"


def worker(count, **given):
    return SimpleNamespace(workerinput={"workercount": count} | given)


@pytest.mark.parametrize(
    ("config", "device", "visible"),
    [
        (SimpleNamespace(), "cpu", None),
        (SimpleNamespace(), "cuda:0", None),
        (worker(1), "cpu", None),
        (worker(1), "cuda:0", ALL),
        (worker(2, **{GIVEN: ""}), "cuda:0", "1"),
        (worker(2, **{GIVEN: ALL}), "cuda:0", "GPU-6d3fe3e1"),
    ],
)
def test_one_process_or_a_gpu_of_its_own_may_time(config, device, visible):
    check_alone(config, device, environ={VISIBLE: visible} if visible else {})


@pytest.mark.parametrize(
    ("config", "device", "visible"),
    [
        (worker(2, **{GIVEN: ""}), "cpu", "0"),
        (worker(2, **{GIVEN: ""}), "cuda:0", None),
        (worker(2, **{GIVEN: "0"}), "cuda:0", "0"),
        (worker(2, **{GIVEN: ""}), "cuda:0", ALL),
        (worker(2), "cuda:0", "0"),
        (worker(2, **{GIVEN: ALL, N_SHARING: 2}), "cuda:0", "0"),
    ],
)
def test_workers_that_share_a_device_are_told_so(config, device, visible):
    with pytest.raises(UsageError, match=rf"needs {device} to itself, and 2 workers .* -n0 or -n1"):
        check_alone(config, device, environ={VISIBLE: visible} if visible else {})


def test_workers_started_on_the_same_gpu_are_told_so():
    config = worker(3, **{GIVEN: ALL, N_SHARING: 2})

    with pytest.raises(UsageError, match=rf"^3 workers .* 2 of them .* {VISIBLE}=0: run with one"):
        check_own_gpu(config, "cuda:0", environ={VISIBLE: "0"})

"""Where variants run, and how much memory is left there."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace

import pytest

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.measure import device, memory
from pytest_quantcheck.measure.device import choose_device


def fake_torch(*names):
    """Return a torch with as many CUDA devices as names."""
    cuda = SimpleNamespace(
        is_available=lambda: bool(names),
        device_count=lambda: len(names),
        get_device_name=lambda index: names[index],
        mem_get_info=lambda _: (1000, 8000),
        memory_reserved=lambda _: 300,
        memory_allocated=lambda _: 200,
    )
    return SimpleNamespace(cuda=cuda, __version__="2.13.0")


def test_the_cpu_is_named_by_its_maker(tmp_path, monkeypatch):
    found = choose_device("cpu")
    assert found.device == "cpu"
    assert found.name
    assert choose_device("cpu") == found
    listing = tmp_path / "cpuinfo"
    listing.write_text("processor : 0\nmodel name\t: AMD EPYC 9004\n")
    assert device._cpu_name(listing) == "AMD EPYC 9004"
    monkeypatch.setattr(device.platform, "processor", lambda: "aarch64")
    assert device._cpu_name(tmp_path / "nowhere") == "aarch64"


@pytest.mark.parametrize(
    ("asked", "names", "expected"),
    [
        ("auto", (), "cpu"),
        ("auto", ("H100", "A100"), ("cuda:0", "H100")),
        ("cuda", ("H100",), ("cuda:0", "H100")),
        ("cuda:1", ("H100", "A100"), ("cuda:1", "A100")),
    ],
)
def test_auto_takes_the_first_gpu_if_there_is_one(monkeypatch, asked, names, expected):
    monkeypatch.setitem(sys.modules, "torch", fake_torch(*names))
    found = choose_device(asked)
    assert expected in {found.device, (found.device, found.name)}


@pytest.mark.parametrize(
    ("asked", "names", "require_gpu", "message"),
    [
        ("cuda:1", ("H100",), False, "device cuda:1: torch 2.13.0 sees 1 CUDA devices"),
        ("cuda", (), False, "sees no CUDA device"),
        ("auto", (), True, "device auto: torch 2.13.0 sees no CUDA device"),
        ("cpu", ("H100",), True, "a GPU is required"),
        ("tpu", (), False, "device 'tpu': expected auto, cpu, cuda or cuda:N"),
    ],
)
def test_a_device_that_is_not_there_is_a_usage_error(
    monkeypatch, asked, names, require_gpu, message
):
    monkeypatch.setitem(sys.modules, "torch", fake_torch(*names))
    with pytest.raises(UsageError, match=message):
        choose_device(asked, require_gpu=require_gpu)


def test_a_cpu_that_nobody_named_stands_in_for_a_gpu(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", fake_torch())
    assert choose_device("auto").is_stand_in
    assert not choose_device("cpu").is_stand_in


def test_further_gpus_are_known_unless_one_was_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", fake_torch("A", "B", "C"))
    assert choose_device("auto").others == choose_device("cuda").others == ("cuda:1", "cuda:2")
    assert choose_device("cuda:1").others == choose_device("cpu").others == ()


def test_a_required_gpu_is_taken(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", fake_torch("H100"))
    assert choose_device("auto", require_gpu=True).device == "cuda:0"


def test_free_memory_of_a_cpu_is_what_linux_calls_available(tmp_path):
    assert memory.free_bytes("cpu") > 0
    listing = tmp_path / "meminfo"
    listing.write_text("MemTotal: 9 kB\nMemAvailable:   5 kB\n")
    assert memory._free_cpu(listing) == 5 * 1024
    everything = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < memory._free_cpu(tmp_path / "nowhere") <= everything


def test_free_memory_of_a_gpu_includes_what_torch_keeps_unused(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", fake_torch("H100"))
    assert memory.free_bytes("cuda:0") == 1100

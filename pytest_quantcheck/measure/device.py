"""Where variants run: a GPU if there is one, else the CPU, and what it is called."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from pathlib import Path

from pytest_quantcheck.errors import UsageError

_CPUINFO = Path("/proc/cpuinfo")
_CUDA = re.compile(r"cuda(?::(?P<index>\d+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceInfo:
    """A device and its name."""

    device: str
    """As torch names it: `cpu` or `cuda:0`."""
    name: str
    """As its maker names it: `NVIDIA H100 80GB HBM3`."""
    others: tuple[str, ...] = ()
    """Further GPUs that a model too large for one may be spread over; none if one was named."""
    is_stand_in: bool = False
    """Whether it is the CPU because there is no GPU, and nobody named it."""


def is_device(asked: str) -> bool:
    """Whether `asked` names a device, be it there or not: `auto`, `cpu`, `cuda` or `cuda:N`."""
    return asked in {"auto", "cpu"} or _CUDA.fullmatch(asked) is not None


def choose_device(asked: str, *, require_gpu: bool = False) -> DeviceInfo:
    """Return the device to run on.

    Parameters
    ----------
    asked : str
        `auto`, `cpu`, `cuda` or `cuda:N`; torch is not imported for `cpu`.
    require_gpu : bool
        Whether running without a GPU is an error.

    Raises
    ------
    UsageError
        The device is unknown or absent, or a GPU is required and there is none.
    """
    if asked == "cpu":
        if require_gpu:
            raise UsageError(
                "device cpu was chosen, and a GPU is required: choose auto or cuda, or drop the "
                "requirement"
            )
        return DeviceInfo(device="cpu", name=_cpu_name(_CPUINFO))
    if not is_device(asked):
        raise UsageError(f"device {asked!r}: expected auto, cpu, cuda or cuda:N")
    match, count = _CUDA.fullmatch(asked), _cuda_devices()
    if asked == "auto" and not count and not require_gpu:
        return DeviceInfo(device="cpu", name=_cpu_name(_CPUINFO), is_stand_in=True)
    return _cuda_device(asked, int((match and match["index"]) or 0), count)


def _cuda_device(asked: str, index: int, count: int) -> DeviceInfo:
    import torch

    if index >= count:
        found = f"sees {count} CUDA devices" if count else "sees no CUDA device"
        raise UsageError(
            f"device {asked}: torch {torch.__version__} {found}; install a CUDA build of torch "
            "and a driver, choose a device that exists, or run on the CPU without requiring a GPU"
        )
    others = range(1, count) if asked in {"auto", "cuda"} else ()
    return DeviceInfo(
        device=f"cuda:{index}",
        name=torch.cuda.get_device_name(index),
        others=tuple(f"cuda:{other}" for other in others),
    )


def _cuda_devices() -> int:
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _cpu_name(cpuinfo: Path) -> str:
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()

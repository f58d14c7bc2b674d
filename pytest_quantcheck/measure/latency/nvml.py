"""How an NVIDIA GPU fares, as its driver tells: throttling, clock, temperature, other processes."""

from __future__ import annotations

import os
import warnings
import weakref
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pytest_quantcheck.measure.latency.protocols import DeviceState

if TYPE_CHECKING:
    from collections.abc import Callable

_THROTTLING = {
    0x08: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
}
"""Clock event reasons. Not among them: 0x1 idle, 0x2 clocks set by the user, 0x4 power cap, which
large matrices reach on a healthy GPU, 0x10 sync boost, 0x100 display."""
_UUIDS = "GPU-", "MIG-"


class NvmlConditions:
    """A GPU as NVML sees it. Nothing is ever set.

    Parameters
    ----------
    library : module
        `pynvml`, initialized.
    uuid : str
        Of the device as torch sees it, whatever the order of visible devices.

    Raises
    ------
    library.NVMLError
        NVML does not know the device.
    """

    def __init__(self, library: Any, uuid: str) -> None:  # noqa: ANN401 - without types
        self._library = library
        self._device = self._handle(uuid)
        self._board = self._asked(
            lambda: library.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self._device)
        )
        if self._board is None:  # no MIG instance but the whole
            self._board = self._device
        self._closing = weakref.finalize(self, library.nvmlShutdown)

    def read(self) -> DeviceState:
        """Return the state now; what the driver does not tell is None."""
        library, board = self._library, self._board
        reasons = self._asked(lambda: self._reasons()(board)) or 0
        return DeviceState(
            reasons=tuple(name for bit, name in _THROTTLING.items() if reasons & bit),
            sm_clock_mhz=self._asked(
                lambda: library.nvmlDeviceGetClockInfo(board, library.NVML_CLOCK_SM)
            ),
            temperature_celsius=self._asked(
                lambda: library.nvmlDeviceGetTemperature(board, library.NVML_TEMPERATURE_GPU)
            ),
        )

    def contention(self) -> str:
        """Return who else computes on the device.

        Returns
        -------
        str
            `none`, the ids of other processes, or `unknown` where this process is not among those
            listed: in a container ids are hidden, or are those of the host.
        """
        listed = self._asked(
            lambda: self._library.nvmlDeviceGetComputeRunningProcesses(self._device)
        )
        found = sorted({int(one.pid) for one in listed or ()})
        others = [str(pid) for pid in found if pid != os.getpid()]
        if len(others) < len(found):
            return f"processes {', '.join(others)}" if others else "none"
        if len(others) > 1:
            return f"processes {', '.join(others)}, of which one is this"
        return "unknown"

    def used_bytes(self) -> int | None:
        """Return how much of the device's memory is taken, by whomever."""
        found = self._asked(lambda: self._library.nvmlDeviceGetMemoryInfo(self._device).used)
        return None if found is None else int(found)

    def _handle(self, uuid: str) -> Any:  # noqa: ANN401
        library = self._library
        names = [uuid] if uuid.startswith(_UUIDS) else [f"{kind}{uuid}" for kind in _UUIDS]
        for name in names[:-1]:
            found = self._asked(lambda name=name: library.nvmlDeviceGetHandleByUUID(name))  # type: ignore[misc]
            if found is not None:
                return found
        return library.nvmlDeviceGetHandleByUUID(names[-1])

    def _reasons(self) -> Callable[[Any], int]:
        """Return what tells the reasons; older releases call it throttling."""
        library = self._library
        new = getattr(library, "nvmlDeviceGetCurrentClocksEventReasons", None)
        return new or library.nvmlDeviceGetCurrentClocksThrottleReasons  # type: ignore[no-any-return]

    def _asked(self, ask: Callable[[], Any]) -> Any:  # noqa: ANN401
        """Return what the driver says; None where it does not, as for a part of a GPU."""
        try:
            return ask()
        except self._library.NVMLError:
            return None


def nvml_conditions(device: str) -> NvmlConditions | None:
    """Return the conditions of a CUDA device; None where NVML cannot be asked.

    Notes
    -----
    It takes `pynvml`, which the extra `gpu` installs, and the driver's library.
    """
    library = _library()
    if library is None:
        return None
    import torch

    uuid = str(torch.cuda.get_device_properties(device).uuid)
    return _opened(library, uuid)


def _opened(library: Any, uuid: str) -> NvmlConditions | None:  # noqa: ANN401
    """Return the conditions of a device; None where the driver does not know it."""
    try:
        library.nvmlInit()
    except library.NVMLError:
        return None
    try:
        return NvmlConditions(library, uuid)
    except library.NVMLError:
        library.nvmlShutdown()
        return None


def _library() -> Any:  # noqa: ANN401
    """Return `pynvml`, or None; another package of that name warns that it is deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return import_module("pynvml")
        except ImportError:
            return None

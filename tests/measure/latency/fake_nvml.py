"""A driver's library that says what it is told to say."""

# ruff: noqa: N802 - as the library names them

from __future__ import annotations

from types import SimpleNamespace


class NVMLError(Exception):
    pass


class Nvml:
    """One GPU, in parts if `parts` names them."""

    NVMLError = NVMLError
    NVML_CLOCK_SM, NVML_TEMPERATURE_GPU = 1, 0

    def __init__(self, *, reasons=0, clock=1980, pids=(), parts=(), silent=()):
        self.state = {"reasons": reasons, "clock": clock, "temperature": 41}
        self.pids, self.parts, self.silent = pids, parts, silent
        self.opened = 0

    def nvmlInit(self):
        self._speak("init")
        self.opened += 1

    def nvmlShutdown(self):
        self.opened -= 1

    def nvmlDeviceGetHandleByUUID(self, name):
        if name not in {"GPU-1234", *self.parts}:
            raise NVMLError(f"{name} not found")
        return name

    def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, handle):
        if handle not in self.parts:
            raise NVMLError("invalid argument")
        return "GPU-1234"

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle):
        return self._of_board(handle, "reasons")

    def nvmlDeviceGetTemperature(self, handle, kind):
        assert kind == self.NVML_TEMPERATURE_GPU
        return self._of_board(handle, "temperature")

    def nvmlDeviceGetClockInfo(self, handle, kind):
        assert kind == self.NVML_CLOCK_SM
        return self._of_board(handle, "clock")

    def nvmlDeviceGetComputeRunningProcesses(self, _handle):
        self._speak("processes")
        return [SimpleNamespace(pid=pid) for pid in self.pids]

    def nvmlDeviceGetMemoryInfo(self, _handle):
        self._speak("memory")
        return SimpleNamespace(used=7 * 2**30)

    def _of_board(self, handle, name):
        self._speak(name)
        if handle != "GPU-1234":
            raise NVMLError("not supported")
        return self.state[name]

    def _speak(self, name):
        if name in self.silent:
            raise NVMLError("not supported")

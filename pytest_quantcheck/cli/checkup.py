"""What this machine has and lacks, looked at without importing any of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from enum import Enum
from importlib.metadata import PackageNotFoundError, entry_points, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from packaging.requirements import Requirement

_PACKAGE = "pytest-quantcheck"
_DRIVER = Path("/proc/driver/nvidia/version")
_PATIENCE_SECONDS = 300
_SHOWN_LINES = 3
_DEVELOPMENT = {"test", "lint", "docs", "dev"}
"""Extras that users have no need of."""
_FOR = {
    "compressed-tensors": "checkpoints that compressed-tensors wrote",
    "gpu": "who else uses the GPU while requests are timed",
    "html": "the page of --quant-html",
    "json-schema": "json_valid(schema=…)",
    "peft": "LoRA adapters",
}
"""What extras are for."""


class State(Enum):
    """What is known of one thing."""

    FINE = "ok"
    ABSENT = "-"
    """Not there, and needed by some suites only."""
    WRONG = "!!"
    """Needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One thing that was looked at."""

    name: str
    state: State
    text: str
    mend: str = ""
    """Command that mends it, or what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where to look: given by tests, this machine by default."""

    environment: Mapping[str, str]
    driver: Path = _DRIVER
    probe: tuple[str, ...] = (sys.executable, "-m", "pytest_quantcheck.measure.checkup")
    """Command that prints what torch and bitsandbytes can do."""
    requirements: tuple[str, ...] | None = None
    """None: those of the installed package."""


def examine(machine: Machine, *, require_gpu: bool) -> Iterator[Observation]:
    """Yield what is there and what is missing, with what mends it."""
    yield Observation(name="python", state=State.FINE, text=sys.version.split()[0])
    packages = [_package(one) for one in _requirements(machine)]
    yield from sorted(filter(None, packages), key=lambda one: (one.state is State.ABSENT, one.name))
    yield _plugin(machine)
    is_ready = not any(one and one.state is State.WRONG for one in packages)
    if is_ready:
        yield from _devices(machine, require_gpu=require_gpu)
    else:
        yield Observation(
            name="device", state=State.WRONG, text="not looked at while a package is missing"
        )


def _requirements(machine: Machine) -> Sequence[str]:
    if machine.requirements is not None:
        return machine.requirements
    try:
        return requires(_PACKAGE) or ()
    except PackageNotFoundError:  # `_plugin` says so
        return ()


def _package(requirement: str) -> Observation | None:
    """Return what is known of one package; None where it is of no interest."""
    from packaging.requirements import Requirement

    needed = Requirement(requirement)
    extra = _extra_of(needed)
    if extra in _DEVELOPMENT:
        return None
    state = State.ABSENT if extra else State.WRONG
    mend = f"pip install '{_PACKAGE}[{extra}]'" if extra else f"pip install '{_plain(needed)}'"
    try:
        found = version(needed.name)
    except PackageNotFoundError:
        use = _FOR.get(extra, f"the extra {extra}") if extra else "every run"
        text = f"not installed; needed for: {use}"
        return Observation(name=needed.name, state=state, text=text, mend=mend)
    if not needed.specifier.contains(found, prereleases=True):
        text = f"{found}, but {needed.specifier} is needed"
        return Observation(name=needed.name, state=State.WRONG, text=text, mend=mend)
    return Observation(name=needed.name, state=State.FINE, text=found)


def _extra_of(needed: Requirement) -> str:
    marker = str(needed.marker or "")
    return marker.partition("extra == ")[2].strip("\"') ")


def _plain(needed: Requirement) -> str:
    return f"{needed.name}{needed.specifier}"


def _plugin(machine: Machine) -> Observation:
    """Say whether pytest loads the plugin by itself."""
    if machine.environment.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD"):
        return Observation(
            name="plugin",
            state=State.WRONG,
            text="PYTEST_DISABLE_PLUGIN_AUTOLOAD is set, so pytest does not load it by itself",
            mend="unset PYTEST_DISABLE_PLUGIN_AUTOLOAD, or pytest -p pytest_quantcheck.plugin",
        )
    names = {one.value for one in entry_points(group="pytest11")}
    if "pytest_quantcheck.plugin" not in names:
        text = "the package is not installed, only on the path: pytest does not find it"
        mend = f"pip install {_PACKAGE}"
        return Observation(name="plugin", state=State.WRONG, text=text, mend=mend)
    return Observation(name="plugin", state=State.FINE, text="loaded by pytest")


def _devices(machine: Machine, *, require_gpu: bool) -> Iterator[Observation]:
    driver = _first_line(machine.driver)
    found = _probed(machine)
    if isinstance(found, str):
        yield Observation(
            name="torch",
            state=State.WRONG,
            text=f"cannot be used: {found}",
            mend=f"pip install --force-reinstall torch bitsandbytes {_PACKAGE}",
        )
        return
    yield _gpu(found, driver, require_gpu=require_gpu)
    for name, error in found["bitsandbytes"].items():
        if error:
            mend = "pip install --upgrade bitsandbytes"
            yield Observation(name=name, state=State.WRONG, text=error, mend=mend)
        else:
            yield Observation(name=name, state=State.FINE, text="quantizes and runs")
    yield _cache(machine)


def _gpu(found: Mapping[str, Any], driver: str, *, require_gpu: bool) -> Observation:
    if found["devices"]:
        text = "; ".join(
            f"{one['name']}, {one['bytes'] / 2**30:.0f} GiB, compute capability {one['capability']}"
            for one in found["devices"]
        )
        return Observation(name="gpu", state=State.FINE, text=text)
    if driver and found["cuda"] is None:
        return Observation(
            name="gpu",
            state=State.WRONG,
            text=f"there is a driver ({driver}), and torch is built for the CPU alone",
            mend="pip install --force-reinstall torch",
        )
    if driver:
        return Observation(
            name="gpu",
            state=State.WRONG,
            text=f"torch for CUDA {found['cuda']} finds none under the driver ({driver})",
            mend="update the NVIDIA driver, or unset CUDA_VISIBLE_DEVICES; `nvidia-smi` tells more",
        )
    state = State.WRONG if require_gpu else State.ABSENT
    text = "none: everything runs on the CPU, and latency is the CPU's"
    return Observation(name="gpu", state=state, text=text)


def _probed(machine: Machine) -> dict[str, Any] | str:
    """Return what torch and bitsandbytes can do, or why that cannot be known."""
    try:
        done = subprocess.run(  # noqa: S603 - this Python, with a module of ours
            machine.probe,
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE_SECONDS,
            env=dict(machine.environment),
        )
        found = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None
    except (OSError, ValueError, IndexError, subprocess.TimeoutExpired) as error:
        return f"{type(error).__name__}: {error}"
    if not isinstance(found, dict):
        last = done.stderr.strip().splitlines()[-_SHOWN_LINES:]
        return " / ".join(last) or f"exit status {done.returncode}"
    return found


def _cache(machine: Machine) -> Observation:
    """Say where quantized weights are kept, and how much room there is."""
    home = machine.environment.get("XDG_CACHE_HOME") or "~/.cache"
    place = machine.environment.get("QUANTCHECK_CACHE") or f"{home}/quantcheck"
    folder = Path(place).expanduser()
    above = next(one for one in (folder, *folder.parents) if one.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        return Observation(
            name="cache",
            state=State.ABSENT,
            text=f"{folder} cannot be written: weights are quantized anew in every run",
            mend="export QUANTCHECK_CACHE=DIR, a folder that can be written",
        )
    free = shutil.disk_usage(above).free / 2**30
    return Observation(name="cache", state=State.FINE, text=f"{folder}, {free:.0f} GiB free")


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").partition("\n")[0].strip()
    except OSError:
        return ""

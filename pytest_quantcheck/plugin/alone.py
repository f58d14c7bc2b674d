"""Whether a worker of pytest-xdist has its device to itself: a GPU always, a CPU to time on it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pytest_quantcheck.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

VISIBLE = "CUDA_VISIBLE_DEVICES"
GIVEN = "quantcheck_visible_devices"
"""Key under which xdist's workers are told what their controller sees of the GPUs."""
N_GPUS = "quantcheck_gpus"
"""Key under which they are told how many there are."""
N_SHARING = "quantcheck_sharing"
"""Key under which one is told how many were started on the same GPU, it among them."""


def check_own_gpu(
    config: pytest.Config,
    device: str,
    *,
    asked: str = "auto",
    environ: Mapping[str, str] = os.environ,
) -> None:
    """Raise UsageError if another worker of pytest-xdist may use the same GPU.

    Parameters
    ----------
    config : pytest.Config
        Of the process that measures.
    device : str
        As torch names it; a CPU is shared.
    asked : str
        The device as the settings name it.
    environ : mapping
        Of the process.
    """
    given = getattr(config, "workerinput", {})
    if not device.startswith("cuda") or _n_workers(given) == 1 or _is_pinned(given, environ):
        return
    raise UsageError(
        f"{_n_workers(given)} workers of pytest-xdist, and {_shortage(given, asked, environ)}, or "
        "with -n0, or on the CPU with --quant-device=cpu"
    )


def check_alone(
    config: pytest.Config, device: str, *, environ: Mapping[str, str] = os.environ
) -> None:
    """Raise UsageError if another worker of pytest-xdist may use the device at the same time.

    Parameters
    ----------
    config : pytest.Config
        Of the process that measures.
    device : str
        As torch names it.
    environ : mapping
        Of the process.

    Notes
    -----
    A worker has a GPU of its own where its CUDA_VISIBLE_DEVICES names one device, and was set for
    it: the controller's is another.
    """
    given = getattr(config, "workerinput", {})
    if _n_workers(given) == 1 or (device.startswith("cuda") and _is_pinned(given, environ)):
        return
    raise UsageError(
        f"a latency test needs {device} to itself, and {_n_workers(given)} workers of pytest-xdist "
        f"share it: they would time each other. Run it with -n0 or -n1, or on GPUs with one worker "
        f"for each"
    )


def _n_workers(given: Mapping[str, object]) -> int:
    return int(str(given.get("workercount", 1)))


def _is_pinned(given: Mapping[str, object], environ: Mapping[str, str]) -> bool:
    """Whether a worker sees one GPU, and its controller others too."""
    own = environ.get(VISIBLE, "")
    is_one = bool(own) and "," not in own and _n_sharing(given) == 1
    return is_one and GIVEN in given and own != given[GIVEN]


def _n_sharing(given: Mapping[str, object]) -> int:
    return int(str(given.get(N_SHARING, 1)))


def _shortage(given: Mapping[str, object], asked: str, environ: Mapping[str, str]) -> str:
    """Return why a worker has no GPU of its own, and what would give it one."""
    if asked not in {"auto", "cuda"}:
        return f"quant_device={asked} is one GPU for all: run with quant_device=auto"
    if GIVEN not in given:
        return (
            "no setting of quantcheck when they were started, so that none was given a GPU: run "
            "with one, such as quant_device = 'auto' in pytest's settings"
        )
    if (n := _n_sharing(given)) > 1:
        own = environ.get(VISIBLE)
        return f"{n} of them were started with {VISIBLE}={own}: run with one GPU for each"
    n_gpus = int(str(given[N_GPUS]))
    if not n_gpus:
        return f"no telling how many GPUs there are: list them, as in {VISIBLE}=0,1, and run again"
    if _n_workers(given) <= n_gpus:
        own = environ.get(VISIBLE)
        return f"one of them sees {VISIBLE}={own}: run with one GPU for each, or leave it unset"
    shown = "1 GPU" if n_gpus == 1 else f"{n_gpus} GPUs"
    return f"{shown}: each worker needs one for itself; run with -n{n_gpus}"

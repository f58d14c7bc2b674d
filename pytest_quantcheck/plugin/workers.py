"""Workers of pytest-xdist: each gets a GPU and its share of the cores before it imports torch."""

from __future__ import annotations

import os
from collections import Counter
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_quantcheck.plugin.alone import GIVEN, N_GPUS, N_SHARING, VISIBLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""What torch asks when it is imported; the first is set where neither is."""
_ROOT = Path("/")
_CARDS = ("dev/nvidia[0-9]*", "proc/driver/nvidia/gpus/*")


class Workers:
    """Prepares the environments of workers, in the process that starts them.

    Notes
    -----
    A worker is a process of its own, and another takes its place with the same environment if it
    crashes: nothing has to be restored. Workers on other hosts are left as they are.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._gpus = visible_gpus()
        self._pinned: Counter[str] = Counter()

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self, specs: Sequence[Any]) -> None:
        """Give each worker of this host a GPU, if there is one for each, and a share of cores."""
        if len(specs) == 1:  # it has everything to itself
            return
        here = [spec for spec in specs if spec.popen and not spec.via]
        if self._device in {"auto", "cuda"} and len(here) <= len(self._gpus):
            named = {spec.env.get(VISIBLE) for spec in here}
            free = (gpu for gpu in self._gpus if gpu not in named)
            for spec in here:
                if VISIBLE not in spec.env:
                    spec.env[VISIBLE] = next(free)
        self._pinned = Counter(spec.env[VISIBLE] for spec in here if VISIBLE in spec.env)
        if not any(name in os.environ for name in THREADS):
            for spec in here:
                spec.env.setdefault(THREADS[0], str(max(1, n_cores() // len(here))))

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:  # noqa: ANN401 - xdist has no types
        """Tell a worker which GPUs all of them were given, and how many share its own."""
        node.workerinput[GIVEN] = os.environ.get(VISIBLE, "")
        node.workerinput[N_GPUS] = len(self._gpus)
        node.workerinput[N_SHARING] = max(1, self._pinned[node.gateway.spec.env.get(VISIBLE)])


def visible_gpus(environ: Mapping[str, str] = os.environ, *, root: Path = _ROOT) -> tuple[str, ...]:
    """Return the GPUs this process may use, each as CUDA_VISIBLE_DEVICES names it.

    Parameters
    ----------
    environ : mapping
        Of the process. What its CUDA_VISIBLE_DEVICES lists is taken as it stands: numbers, UUIDs
        of GPUs or of MIG instances. Like CUDA, this reads up to the first that cannot be.
    root : Path
        Of the file system, in which the driver's files are counted where nothing is listed.

    Notes
    -----
    Neither CUDA nor NVML is asked: either would take memory and time of each GPU in a process
    that measures nothing. Where the driver shows no such files (WSL), there is no GPU until it is
    listed.
    """
    counts = (len(list(root.glob(pattern))) for pattern in _CARDS)
    n_cards = next(filter(None, counts), 0)
    if VISIBLE not in environ:
        return tuple(map(str, range(n_cards)))
    listed = (entry.strip() for entry in environ[VISIBLE].split(","))
    return tuple(dict.fromkeys(takewhile(partial(_may_exist, n_cards=n_cards), listed)))


def _may_exist(entry: str, *, n_cards: int) -> bool:
    """Whether CUDA would take an entry, as far as the driver's files tell."""
    if not entry or entry == "-1":
        return False
    return not entry.isdecimal() or not n_cards or int(entry) < n_cards


def n_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

"""Whether a test has its device to itself: what is timed beside other work is not timed at all."""

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
    n_workers = int(given.get("workercount", 1))
    own = environ.get(VISIBLE, "")
    is_pinned = bool(own) and "," not in own and GIVEN in given and own != given[GIVEN]
    if n_workers == 1 or (device.startswith("cuda") and is_pinned):
        return
    raise UsageError(
        f"a latency test needs {device} to itself, and {n_workers} workers of pytest-xdist share "
        f"it: they would time each other. Run it with -n0 or -n1, or give each worker one GPU of "
        f"its own in {VISIBLE}"
    )

"""How much memory a device has left."""

from __future__ import annotations

import os
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")


def free_bytes(device: str) -> int:
    """Return how many bytes could be allocated on `device` now.

    Parameters
    ----------
    device : str
        As torch names it; torch is imported for CUDA devices only.

    Returns
    -------
    int
        On a CUDA device, what the driver has left and what torch holds without using it.
    """
    return _free_cuda(device) if device.startswith("cuda") else _free_cpu(_MEMINFO)


def _free_cuda(device: str) -> int:
    import torch

    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def _free_cpu(meminfo: Path) -> int:
    """Return what Linux calls available: free pages and what the page cache can give back."""
    try:
        lines = meminfo.read_text(encoding="ascii").splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")

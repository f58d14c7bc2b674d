"""Arrays of whole numbers on the device, in one copy that nothing waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def upload(arrays: Sequence[NDArray[np.int64]], device: torch.device) -> list[torch.Tensor]:
    """Return each array as an int64 tensor on `device`."""
    together = torch.from_numpy(np.concatenate(arrays))
    if device.type == "cuda":
        together = together.pin_memory().to(device, non_blocking=True)
    return list(torch.split(together, [len(one) for one in arrays]))

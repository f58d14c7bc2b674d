"""Models whose layers lie on several devices, as accelerate dispatches them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def n_devices(model: PreTrainedModel) -> int:
    """Return on how many devices the layers of a model lie.

    Notes
    -----
    Hooks of accelerate take what a layer is given to its device. Only the model's own forward is
    sure to pass through all of them: packs, rows and CUDA graphs are for a single device.
    """
    return len(set((getattr(model, "hf_device_map", None) or {"": None}).values()))

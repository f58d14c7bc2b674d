"""What the GPU, torch and bitsandbytes can do here, as JSON: run in a process of its own.

A driver or a library that is broken may end the process that asks; so the one who asks is another.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_FEATURES = 64


def examine() -> dict[str, Any]:
    """Return devices, and for each precision of bitsandbytes why it fails; empty if it works."""
    import torch

    found: dict[str, Any] = {"cuda": torch.version.cuda, "devices": []}
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            about = torch.cuda.get_device_properties(index)
            found["devices"].append(
                {
                    "name": about.name,
                    "capability": f"{about.major}.{about.minor}",
                    "bytes": about.total_memory,
                }
            )
    kinds = ["cpu", *(["cuda"] if found["devices"] else [])]
    found["bitsandbytes"] = {
        f"{name} on {kind}": _error_of(work, kind)
        for name, work in (("int8", _int8), ("int4", _int4))
        for kind in kinds
    }
    return found


def _error_of(work: Callable[[str], None], device: str) -> str:
    try:
        work(device)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
        lines = str(error).strip().splitlines()
        return f"{type(error).__name__}: {lines[0] if lines else ''}"
    return ""


def _int8(device: str) -> None:
    """Quantize a small layer by LLM.int8, and run it."""
    import torch

    layer = _modules().Linear8bitLt(_FEATURES, _FEATURES, bias=False, has_fp16_weights=False)
    _run(layer.to(device), torch.float16 if device == "cuda" else torch.float32, device)


def _int4(device: str) -> None:
    """Quantize a small layer to NF4, and run it."""
    import torch

    kind = torch.float16 if device == "cuda" else torch.float32
    layer = _modules().Linear4bit(
        _FEATURES, _FEATURES, bias=False, quant_type="nf4", compute_dtype=kind
    )
    _run(layer.to(device), kind, device)


def _modules() -> Any:  # noqa: ANN401 - the package has no types
    import bitsandbytes

    return bitsandbytes.nn


def _run(layer: Any, kind: Any, device: str) -> None:  # noqa: ANN401 - a torch module and dtype
    import torch

    with torch.inference_mode():
        output = layer(torch.ones(4, _FEATURES, dtype=kind, device=device))
    if not bool(torch.isfinite(output).all()):
        raise ArithmeticError("its output is not finite")


if __name__ == "__main__":
    sys.stdout.write(json.dumps(examine()) + "\n")

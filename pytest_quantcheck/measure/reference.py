"""The precision a checkpoint is at home in, read without its weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pytest_quantcheck.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_quantcheck.measure.protocols import ModelSource


def native_precision(source: ModelSource) -> Literal["fp16", "bf16"]:
    """Return the 16-bit precision that holds the checkpoint's values.

    Parameters
    ----------
    source : ModelSource
        The model; a folder's config.json is read without importing anything heavy.

    Returns
    -------
    str
        `bf16` if the checkpoint was saved in bfloat16, whose range float16 lacks; else `fp16`.

    Raises
    ------
    UsageError
        The model has no readable configuration.
    """
    return "bf16" if _declared_dtype(_settings(source)) == "bfloat16" else "fp16"


def _settings(source: ModelSource) -> Mapping[str, Any]:
    folder = Path(source.model)
    if not folder.is_absolute():
        from pytest_quantcheck.measure.backends.loading import open_config

        return open_config(source).to_dict()
    path = folder / "config.json"
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"model {source.model}: {path.name} cannot be read there ({error}); expected the "
            "folder of a checkpoint saved with save_pretrained, or a hub id"
        ) from error
    if not isinstance(settings, dict):
        raise UsageError(f"model {source.model}: config.json holds no JSON object")
    return settings


def _declared_dtype(settings: Mapping[str, Any]) -> str:
    """Return the dtype by either of its names, at the top or in the text part."""
    parts = [settings, settings.get("text_config") or {}]
    names = [part.get(key) for part in parts for key in ("dtype", "torch_dtype")]
    return str(next((name for name in names if name), "")).removeprefix("torch.")

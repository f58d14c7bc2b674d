"""Loading and measuring without a trace: levels, bars, warnings, random state as before."""

from __future__ import annotations

import logging
import warnings
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import huggingface_hub.utils
import torch
import transformers.utils.logging

if TYPE_CHECKING:
    from collections.abc import Iterator

# Neither declares the types of these functions.
_BARS: Any = transformers.utils.logging
_HUB_BARS: Any = huggingface_hub.utils

_LOGGERS = (
    "accelerate",
    "bitsandbytes",
    # LLM.int8 logs one warning a matrix product where inputs are not float16.
    "bitsandbytes.autograd._functions",
    "bitsandbytes.backends.cpu.ops",
    "huggingface_hub",
    "transformers",
)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keep libraries silent, and put back whatever they and we change."""
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(_quiet_loggers())
        stack.enter_context(_no_progress_bars())
        stack.enter_context(_same_random_state())
        yield


@contextmanager
def _quiet_loggers() -> Iterator[None]:
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    try:
        for name in _LOGGERS:
            logging.getLogger(name).setLevel(logging.ERROR)
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    shown = _BARS.is_progress_bar_enabled()
    hub_hidden = _HUB_BARS.are_progress_bars_disabled()
    try:
        _BARS.disable_progress_bar()
        yield
    finally:
        if shown:
            _BARS.enable_progress_bar()
        if hub_hidden:
            _HUB_BARS.disable_progress_bars()


@contextmanager
def _same_random_state() -> Iterator[None]:
    on_cuda = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = range(torch.cuda.device_count()) if on_cuda else ()
    with torch.random.fork_rng(devices=devices):
        dtype = torch.get_default_dtype()
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)

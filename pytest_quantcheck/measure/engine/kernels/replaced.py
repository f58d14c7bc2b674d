"""Forwards of a model's modules that are replaced for a while by faster ones."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

HALVES = (torch.float16, torch.bfloat16)
"""Of what kernels of our own take."""


class Replaced:
    """Modules of a model, each with a forward that gives what its own gives.

    Parameters
    ----------
    forwards : mapping of Module to callable
        The faster forward of each.
    """

    def __init__(self, forwards: Mapping[torch.nn.Module, Callable[..., torch.Tensor]]) -> None:
        self._forwards = forwards

    def __len__(self) -> int:
        """How many there are."""
        return len(self._forwards)

    def __iter__(self) -> Iterator[torch.nn.Module]:
        """Yield the modules."""
        return iter(self._forwards)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Let them be computed by the faster ones; everything is as before afterwards."""
        try:
            for module, forward in self._forwards.items():
                vars(module)["forward"] = forward
            yield
        finally:
            for module in self._forwards:
                vars(module).pop("forward", None)


def holds(trial: Callable[[], bool]) -> bool:
    """Return what a trial finds; False where what is tried does not run."""
    try:
        return trial()
    except torch.OutOfMemoryError:
        raise
    except Exception:  # noqa: BLE001 - whatever it is, the model's own is left
        return False


def proven(
    model: torch.nn.Module,
    kind_of: Callable[[torch.nn.Module], object],
    is_same: Callable[[torch.nn.Module], bool],
) -> list[torch.nn.Module]:
    """Return the modules that may be replaced, found by trying one of each kind.

    Parameters
    ----------
    model : Module
        In evaluation mode, on its device.
    kind_of : callable
        Says what modules that compute the same have in common; None where one is out of question.
    is_same : callable
        Whether a module's own forward gives what the faster one gives.
    """
    tried: dict[object, bool] = {}
    found = []
    for module in model.modules():
        kind = None if "forward" in vars(module) else kind_of(module)  # another's stays
        if kind is None:
            continue
        if kind not in tried:
            tried[kind] = is_same(module)
        if tried[kind]:
            found.append(module)
    return found

"""Quality-regression tests for quantized language models, decided by paired statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_quantcheck.workloads.choice import MultipleChoice
    from pytest_quantcheck.workloads.classification import Classification
    from pytest_quantcheck.workloads.documents import Documents
    from pytest_quantcheck.workloads.generation import Generation
    from pytest_quantcheck.workloads.latency import Latency
    from pytest_quantcheck.workloads.scorers import contains, exact_match, json_valid, regex

__version__ = "0.1.0"
__all__ = [
    "Classification",
    "Documents",
    "Generation",
    "Latency",
    "MultipleChoice",
    "__version__",
    "contains",
    "exact_match",
    "json_valid",
    "regex",
]

_HOMES = {
    "Classification": "pytest_quantcheck.workloads.classification",
    "Documents": "pytest_quantcheck.workloads.documents",
    "Generation": "pytest_quantcheck.workloads.generation",
    "Latency": "pytest_quantcheck.workloads.latency",
    "MultipleChoice": "pytest_quantcheck.workloads.choice",
    "contains": "pytest_quantcheck.workloads.scorers",
    "exact_match": "pytest_quantcheck.workloads.scorers",
    "json_valid": "pytest_quantcheck.workloads.scorers",
    "regex": "pytest_quantcheck.workloads.scorers",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used (PEP 562): an unused plugin costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)

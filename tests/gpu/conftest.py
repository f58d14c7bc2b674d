"""Tiny checkpoints on a CUDA device, built by the same code as for the CPU."""

from __future__ import annotations

from functools import cache

import pytest
import tiny_models
import torch

from pytest_quantcheck.core.protocols import BackendSpec
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.protocols import ModelSource

BACKENDS = "pytest_quantcheck.measure.backends"
SPECS = {
    name: BackendSpec(name=name, target=f"{BACKENDS}.{name}:{name.capitalize()}Backend")
    for name in ("transformers", "bitsandbytes", "checkpoint")
}


@pytest.fixture(scope="session")
def specs():
    return SPECS


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """Return what saves a tiny checkpoint once, and says where it is and which device it is for."""

    @cache
    def folder(kind: str, dtype: torch.dtype) -> str:
        path = tmp_path_factory.mktemp(kind)
        tiny_models.save(path, tiny_models.make_model(kind, dtype=dtype))
        return str(path)

    def get(kind: str, device: str = "cuda:0", dtype: torch.dtype = torch.float16) -> ModelSource:
        return ModelSource(model=folder(kind, dtype), device=device)

    return get


@pytest.fixture
def pool():
    """Return what makes a pool that is closed after the test."""
    made = []

    def make(source: ModelSource) -> Pool:
        made.append(Pool(SPECS, source, 0.85))
        return made[-1]

    yield make
    for one in made:
        one.close()

"""Tiny checkpoints and loaded variants, built once a session."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import fake_model
import pytest
import tiny_models
import torch

from pytest_quantcheck.core.protocols import BackendSpec
from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.protocols import ModelSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_quantcheck.measure.engine.causal import CausalModel

BACKENDS = "pytest_quantcheck.measure.backends"
SPECS = {
    name: BackendSpec(name=name, target=f"{BACKENDS}.{name}:{name.capitalize()}Backend")
    for name in ("transformers", "bitsandbytes", "checkpoint")
}


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Keep torch to one thread: tiny tensors only lose by more, most of all on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _no_fakes_loaded() -> None:
    fake_model.LOADS.clear()
    fake_model.SIZES.clear()


@pytest.fixture(scope="session")
def specs() -> dict[str, BackendSpec]:
    return SPECS


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], ModelSource]:
    """Return what saves a tiny checkpoint once, and says where."""

    @cache
    def get(kind: str) -> ModelSource:
        folder = tmp_path_factory.mktemp(kind)
        tiny_models.save(folder, tiny_models.make_model(kind))
        return ModelSource(model=str(folder), device="cpu")

    return get


@pytest.fixture(scope="session")
def load(checkpoint: Callable[[str], ModelSource]) -> Iterator[Callable[[str, str], CausalModel]]:
    """Return what loads a variant of a tiny checkpoint once."""
    pools: dict[str, Pool] = {}

    @cache
    def get(kind: str, name: str) -> CausalModel:
        if kind not in pools:
            pools[kind] = Pool(SPECS, checkpoint(kind), 0.9)
        return pools[kind].get(builtin_variant(name))  # type: ignore[return-value]

    yield get
    for pool in pools.values():
        pool.close()

"""Variants in memory: loaded when first asked for, evicted when another needs the room."""

from __future__ import annotations

import time
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from pytest_quantcheck.errors import BackendUnavailable, QuantcheckError, UsageError
from pytest_quantcheck.measure.memory import free_bytes
from pytest_quantcheck.measure.outcome import Failed, failed
from pytest_quantcheck.measure.residents import Residents
from pytest_quantcheck.measure.selfcheck import check_quantized

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_quantcheck.core.memory import MemoryUse
    from pytest_quantcheck.core.protocols import BackendSpec
    from pytest_quantcheck.core.variant import Variant
    from pytest_quantcheck.measure.latency.protocols import Shape
    from pytest_quantcheck.measure.protocols import Backend, LoadedModel, ModelSource, Weights


class Pool:
    """Loaded variants of one model.

    Parameters
    ----------
    backends : mapping of str to BackendSpec
        Backends by name; each is imported when a variant of it is first loaded.
    source : ModelSource
        The model and where it runs.
    memory_fraction : float
        Share of the device's memory, in (0, 1], that variants may fill.
    residents : Residents, optional
        What is in memory, shared with the pools of other models on the device.
    free_bytes : callable, optional
        Says how many bytes are free on a device now.
    """

    def __init__(
        self,
        backends: Mapping[str, BackendSpec],
        source: ModelSource,
        memory_fraction: float,
        *,
        residents: Residents | None = None,
        free_bytes: Callable[[str], int] = free_bytes,
    ) -> None:
        self.source = source
        self._specs = backends
        self._fraction = memory_fraction
        self._free_bytes = free_bytes
        self._backends: dict[str, Backend] = {}
        self._residents = Residents() if residents is None else residents
        self._weights: dict[Variant, Weights] = {}
        self._load_seconds: dict[Variant, float] = {}
        self._estimates: dict[Variant, int] = {}
        self._failures: dict[Variant, Failed] = {}

    @property
    def resident(self) -> tuple[Variant, ...]:
        """Variants in memory, least recently used first."""
        return self._residents.of(self.source)

    def get(self, variant: Variant) -> LoadedModel:
        """Return the variant in memory, loading it if it is not there.

        Raises
        ------
        BackendUnavailable
            A package or device is missing.
        UsageError
            The model cannot be loaded as asked, or claims quantization it does not have.

        Notes
        -----
        A failure is remembered: the next call raises it without loading again. Do not keep the
        model: the pool frees it when it needs the room.
        """
        if variant in self._failures:
            self._failures[variant].again()
        loaded = self._residents.get((self.source, variant))
        if loaded is None:
            try:
                loaded = self._load(variant)
            except QuantcheckError as error:
                self._failures[variant] = failed(error)
                raise
        return loaded

    def weights(self, variant: Variant) -> Weights:
        """Return what the variant's tensors say; kept after it is evicted."""
        if variant not in self._weights:
            self.get(variant)
        return self._weights[variant]

    def memory_use(self, variant: Variant, shape: Shape) -> MemoryUse:
        """Return what the variant takes while it serves a shape, and how long it took to load."""
        found = self.get(variant).memory_use(shape)
        return replace(found, load_seconds=self._load_seconds[variant])

    def pin(self, variant: Variant) -> LoadedModel:
        """Return the variant in memory, and keep it there until the pool is closed."""
        loaded = self.get(variant)
        self._residents.pin((self.source, variant))
        return loaded

    def release(self, variant: Variant) -> None:
        """Free a variant that is in memory, unless it is pinned."""
        if variant in self.resident:
            self._residents.release((self.source, variant))

    def fits_both(self, one: Variant, other: Variant) -> bool:
        """Return whether two variants can stay in memory together."""
        wanted = self.bytes_of(one, other)
        both = {(self.source, one), (self.source, other)}
        return wanted + self._residents.pinned_bytes(beside=both) <= self._budget_bytes()

    def bytes_of(self, *variants: Variant) -> int:
        """Return about how many bytes some variants take together."""
        return sum(self._estimate(variant) for variant in variants)

    def close(self) -> None:
        """Free every variant, pinned or not."""
        for variant in self.resident:
            self._residents.evict((self.source, variant))

    def _load(self, variant: Variant) -> LoadedModel:
        backend = self._backend(variant)
        if self._residents:
            self._residents.make_room(self._budget_bytes() - self._estimate(variant))
        source = replace(self.source, is_spread=self._must_spread(variant))
        started = time.perf_counter()
        loaded = backend.load(variant, source)
        self._load_seconds[variant] = time.perf_counter() - started
        try:
            check_quantized(variant, loaded.weights)
        except UsageError:
            loaded.close()
            raise
        self._weights[variant] = loaded.weights
        self._residents.add(
            (self.source, variant), loaded, size_bytes=lambda: self._estimate(variant)
        )
        return loaded

    def _must_spread(self, variant: Variant) -> bool:
        """Whether a variant has no room on its device, and those beside have some."""
        room = self._fraction * self._free_bytes(self.source.device)
        return bool(self.source.others) and self._estimate(variant) > room

    def _budget_bytes(self) -> int:
        """Return what variants may fill: what is free, and what they hold already."""
        held = self._residents.held_bytes()
        return int(self._fraction * (self._free_bytes(self.source.device) + held))

    def _estimate(self, variant: Variant) -> int:
        if variant not in self._estimates:
            backend = self._backend(variant)
            self._estimates[variant] = backend.estimate_bytes(variant, self.source)
        return self._estimates[variant]

    def _backend(self, variant: Variant) -> Backend:
        name = variant.backend
        if name not in self._backends:
            if name not in self._specs:
                known = ", ".join(sorted(self._specs))
                raise UsageError(
                    f"variant {variant.label}: unknown backend {name!r}; known: {known}"
                )
            self._backends[name] = _create(self._specs[name])
        return self._backends[name]


class _Factory(Protocol):
    def __call__(self) -> Backend: ...


def _create(spec: BackendSpec) -> Backend:
    """Import a backend and make it.

    Raises
    ------
    BackendUnavailable
        A package it needs is not installed.
    """
    module, _, factory = spec.target.partition(":")
    try:
        found = getattr(import_module(module), factory)
    except ImportError as error:
        raise BackendUnavailable(
            f"backend {spec.name}: {error}; install the packages it needs: "
            "pip install torch transformers accelerate bitsandbytes"
        ) from error
    return cast("_Factory", found)()

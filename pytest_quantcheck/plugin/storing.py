"""Where the reference's results are kept between runs."""

from __future__ import annotations

import uuid
from functools import partial
from typing import TYPE_CHECKING

from pytest_quantcheck.measure.archive import Archive
from pytest_quantcheck.measure.identity import environment_of, identity_of
from pytest_quantcheck.store.disk import Store
from pytest_quantcheck.store.files import FileDigests

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest

    from pytest_quantcheck.core.fingerprint import Plain
    from pytest_quantcheck.core.protocols import BackendSpec
    from pytest_quantcheck.core.variant import Variant
    from pytest_quantcheck.measure.device import DeviceInfo
    from pytest_quantcheck.measure.protocols import ModelSource
    from pytest_quantcheck.plugin.settings import Settings

_NAME = "quantcheck"


class Shelves:
    """Archives of the models of one session, all in one store.

    Parameters
    ----------
    config : Config
        Whose cache holds the store where no folder is set.
    settings : Settings
        Whether and where results are kept.
    backends : mapping of str to BackendSpec
        By name.
    device : DeviceInfo
        Where variants run.
    """

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        *,
        backends: Mapping[str, BackendSpec],
        device: DeviceInfo,
    ) -> None:
        folder = _folder(config, settings)
        self._backends = backends
        self._store = None if folder is None else Store(folder)
        self.files = FileDigests(folder)
        """Digests of files, remembered where results are."""
        self._environment = environment_of(device)
        self._run = _run_of(config)
        # A noise floor is of this machine as it is now: nothing old goes into it.
        self._is_update = settings.updates_reference or settings.noise_floor

    def archive(self, source: ModelSource) -> Archive | None:
        """Return where the reference of one model is kept; None where nothing is."""
        if self._store is None:
            return None
        return Archive(
            self._store,
            identify=partial(self._identify, source),
            environment=self._environment,
            run=self._run,
            is_update=self._is_update,
        )

    def _identify(self, source: ModelSource, variant: Variant) -> dict[str, Plain] | None:
        backend = self._backends.get(variant.backend)
        if backend is None:
            return None
        return identity_of(variant, source, backend, files=self.files)


def _folder(config: pytest.Config, settings: Settings) -> Path | None:
    """Return the store's folder; pytest's cache has none where its plugin is switched off."""
    if not settings.keeps_reference:
        return None
    if settings.store_folder is not None:
        return settings.store_folder
    cache: pytest.Cache | None = getattr(config, "cache", None)
    try:
        return None if cache is None else cache.mkdir(_NAME)
    except OSError:  # pytest itself warns of a cache that cannot be written
        return None


def _run_of(config: pytest.Config) -> str:
    """Return what names this run, the same in every worker of xdist."""
    return str(getattr(config, "workerinput", {}).get("testrunuid") or uuid.uuid4().hex)

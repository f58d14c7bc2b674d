"""What decides a variant's scores besides what it is asked: its files, versions, the device."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_quantcheck.core.fingerprint import digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_quantcheck.core.fingerprint import Plain
    from pytest_quantcheck.core.protocols import BackendSpec
    from pytest_quantcheck.core.variant import Variant
    from pytest_quantcheck.measure.device import DeviceInfo
    from pytest_quantcheck.measure.protocols import ModelSource
    from pytest_quantcheck.store.files import FileDigests

_READ = {".safetensors", ".json", ".jinja", ".txt", ".model", ".tiktoken", ".py"}
"""Files of a checkpoint that decide how it answers: weights, tokenizer, templates, settings."""
ADAPTER_SETTINGS = "adapter_config.json"
"""The file that every adapter has, as every model has config.json."""
_TEMPLATES = "additional_chat_templates"
_PACKAGES = (
    "pytest-quantcheck",
    "torch",
    "transformers",
    "tokenizers",
    "bitsandbytes",
    "compressed-tensors",
    "peft",
    "numpy",
    "jinja2",
    "jsonschema",
)
_DRIVER = Path("/proc/driver/nvidia/version")


def identity_of(
    variant: Variant, source: ModelSource, backend: BackendSpec, *, files: FileDigests
) -> dict[str, Plain] | None:
    """Return everything that tells a variant from others; None where something has no digest.

    Parameters
    ----------
    variant : Variant
        Which one; its name does not count.
    source : ModelSource
        Of which model, on which kind of device.
    backend : BackendSpec
        Who loads it; one without a version has no digest.
    files : FileDigests
        Reads the files of folders.

    Notes
    -----
    A folder is all of its files, a hub id the commit it resolves to. What cannot be resolved has
    no digest, and loading it says why.
    """
    if backend.version is None:
        return None
    own = source.of(variant)
    try:
        model = _files_of(source.model, files, revision=source.revision)
        checkpoint = _files_of(own.model, files, revision=own.revision)
        adapter = source.adapter and _files_of(source.adapter, files, settings=ADAPTER_SETTINGS)
    except OSError:
        return None
    if None in {model, checkpoint} or (source.adapter and not adapter):
        return None
    return {
        "backend": [backend.target, backend.version],
        "device": source.device.partition(":")[0],
        "model": model,
        "checkpoint": checkpoint,
        "adapter": adapter,
        "merges_adapter": source.merges_adapter,
        "trust_remote_code": source.trust_remote_code,
        "precision": variant.precision,
        "options": [[name, value] for name, value in variant.options],
        "skip_modules": [*variant.skip_modules],
    }


def environment_of(device: DeviceInfo) -> dict[str, str]:
    """Return what may change scores though nothing else was asked for."""
    found = {"device": device.name, "python": ".".join(platform.python_version_tuple()[:2])}
    if device.device != "cpu":
        found["driver"] = _driver(_DRIVER)
    return found | installed(_PACKAGES)


def installed(packages: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of those packages that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def differences(here: Mapping[str, str], there: Mapping[str, str]) -> str:
    """Return in words what differs between two environments.

    Examples
    --------
    >>> differences({"torch": "2.13", "numpy": "2.1"}, {"torch": "2.12", "numpy": "2.1"})
    'torch 2.12, here 2.13'
    """
    names = [name for name in {**here, **there} if here.get(name) != there.get(name)]
    return "; ".join(
        f"{name} {there.get(name, 'missing')}, here {here.get(name, 'missing')}" for name in names
    )


def _files_of(
    model: str, files: FileDigests, *, revision: str | None = None, settings: str = "config.json"
) -> str | None:
    """Return the digest of a folder's files, or the commit of a hub id; None if unknown."""
    if not Path(model).is_absolute():
        return resolved_commit(model, revision=revision, settings=settings)
    found = file_digests(model, files)
    return digest([[name, one] for name, one in found.items()])


def resolved_commit(
    model: str, *, revision: str | None = None, settings: str = "config.json"
) -> str | None:
    """Return the commit of a hub id; None of a folder, and where it cannot be known.

    Parameters
    ----------
    model : str
        Hub id, or absolute path of a folder.
    revision : str, optional
        Branch, tag or commit.
    settings : str
        A file that it has.
    """
    if Path(model).is_absolute():
        return None
    from pytest_quantcheck.measure.backends.access import commit_of

    return commit_of(model, settings, revision=revision)


def file_digests(model: str, files: FileDigests) -> dict[str, str]:
    """Return the sha256 of each file of a folder that decides how a model answers, by name.

    A hub id has none: its commit says all.

    Raises
    ------
    OSError
        A file cannot be read.
    """
    folder = Path(model)
    if not folder.is_absolute():
        return {}
    paths = [
        path
        for place in (folder, folder / _TEMPLATES)
        if place.is_dir()
        for path in sorted(place.iterdir())
        if path.suffix in _READ and path.is_file()
    ]
    names = [path.relative_to(folder).as_posix() for path in paths]
    return dict(zip(names, files.of(paths), strict=True))


def _driver(path: Path) -> str:
    """Return the first line of what the NVIDIA driver says of itself."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").partition("\n")[0].strip()
    except OSError:
        return "unknown"
